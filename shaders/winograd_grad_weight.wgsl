//#name winograd2_grad_weight SIDE=4 OUTPUTS=2 | winograd4_grad_weight F4 SIDE=6 OUTPUTS=4
//
// The weight gradient of a Winograd convolution, from its points (shared/winograd.wgsl).
//
//   grad_weight[k][r,s][c] = (G' points[·][k][c] G)[r,s]
//
// `points` is the weight gradient of the 1x1 convolution whose groups are the points; both have input channels padded to vec4s. Four
// input channels of one output channel per invocation, 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/winograd.wgsl
//#import shared/winograd_column.wgsl
struct Size {
    outputs: u32,
    padded_outputs: u32, // from one point to the next
    inputs4: u32,
    end: u32,
}
@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(2) var<storage, read_write> grad_weight: array<vec4f>;

fn make(at: u32) {
    let output = at / size.inputs4;
    if output >= size.outputs {
        return;
    }
    let point = size.padded_outputs * size.inputs4;
    let step = SIDE * point;
    let to = output * 9u * size.inputs4 + at % size.inputs4;
    let u = array({i in 0..SIDE: taps_of(column_at(at + {i}u * point, step))});
//#for r in 0..3
    let g{r} = taps_of(Line({i in 0..SIDE: u[{i}][{r}]}));
//#for s in 0..3
    grad_weight[to + {3 * r + s}u * size.inputs4] = g{r}[{s}];
//#endfor
//#endfor
}
