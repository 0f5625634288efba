//#name winograd2 SIDE=4 OUTPUTS=2 | winograd4 F4 SIDE=6 OUTPUTS=4
//#axis _output | _grad_input GRADIENT
//#axis - | _wide WIDE
//#axis - | _f16 HALF
//#never GRADIENT !HALF
//
// The output of a Winograd convolution (shared/winograd.wgsl): transforms products at the points to m x m pixels.
//
//   output[pixel][k] = relu((A' points[tile] A)[pixel] + bias[k] + residual[pixel][k])
//
// An input gradient goes through the ReLU before the convolution instead (`rectified`). In f16 it has its own shaders, whose stores never
// saturate. Four channels of a tile per invocation, 64 to a workgroup, channels fastest, folded. A tile's pixels past the map are dropped.
//#import shared/item.wgsl
//#import shared/relu.wgsl
//#import shared/stored.wgsl
//#import shared/winograd.wgsl
//#import shared/winograd_tiles.wgsl
//#import shared/winograd_column.wgsl
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> residual: array<Stored4>;
@group(0) @binding(4) var<storage, read> rectified: array<Stored4>;
@group(0) @binding(5) var<storage, read_write> output: array<Stored4>;

fn put(place: Place, row: u32, column: u32, sum: vec4f) {
    if row >= tiles.height || column >= tiles.width {
        return;
    }
    let at = ((place.image * tiles.height + row) * tiles.width + column) * tiles.pitch4 + place.channel4;
    var value = sum;
    if tiles.biased != 0u {
        value += bias[place.channel4];
    }
    if tiles.residual != 0u {
        value += unpack4(residual[at]);
    }
    if tiles.relu != 0u {
        value = rectify(value);
    }
    if tiles.rectified != 0u {
        value = rectify_backward(unpack4(rectified[at]), value);
    }
    output[at] = pack4(value);
}

fn make(item: u32) {
    let place = place_of(item);
    if !place.there {
        return;
    }
    let step = SIDE * tiles.channels4;
    let m = array({i in 0..SIDE: outputs_of(column_at(place.at + {i}u * tiles.channels4, step))});
//#for r in 0..OUTPUTS
    let row{r} = outputs_of(Line({i in 0..SIDE: m[{i}][{r}]}));
//#for i in 0..OUTPUTS
    put(place, place.row + {r}u, place.column + {i}u, row{r}[{i}]);
//#endfor
//#endfor
}
