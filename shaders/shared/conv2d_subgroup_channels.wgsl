        // The body of the loop over taps in conv2d_subgroup.wgsl: adds the products under one tap, over the source channels.
        var c = 0u;
        loop {
//#if PAIRED_WEIGHTS
            // In this order LLVM emits the fastest code. With both loads before both unpackings the loop takes a third longer.
//#for h in 0..2
            let both{h} = weight[w_at + {8 * h}u];
            let even{h} = first4(both{h});
            let odd{h} = last4(both{h});
//#endfor
//#if PAIRED_MAPS
//#for p in 0..4
            let oct{p} = input[at{p}];
//#endfor
//#for p in 0..4
            let x{p} = select(vec4f(), first4(oct{p}), inside{p});
//#endfor
//#for p in 0..4
            let y{p} = select(vec4f(), last4(oct{p}), inside{p});
//#endfor
//#else
//#for p in 0..4
            let quad{p} = unpack4(input[at{p}]);
//#endfor
//#for p in 0..4
            let x{p} = select(vec4f(), quad{p}, inside{p});
//#endfor
            w_at += 16u;
//#for p in 0..4
            at{p}++;
//#endfor
//#endif
            add_two(&sums, even0, odd0, x0.xy, x1.xy, x2.xy, x3.xy);
            add_two(&sums, even1, odd1, x0.zw, x1.zw, x2.zw, x3.zw);
//#if PAIRED_MAPS
//#for h in 2..4
            let both{h} = weight[w_at + {8 * h}u];
            let even{h} = first4(both{h});
            let odd{h} = last4(both{h});
//#endfor
            w_at += 32u;
//#for p in 0..4
            at{p}++;
//#endfor
            add_two(&sums, even2, odd2, y0.xy, y1.xy, y2.xy, y3.xy);
            add_two(&sums, even3, odd3, y0.zw, y1.zw, y2.zw, y3.zw);
//#endif
//#elif WIDE
            // If the number of channels is odd, the second of the last pair is padding.
            let second = c + 1u < conv.group_source_channels;
            let held = unpack4(weight[w_at]);
            let next = unpack4(weight[w_at + 8u]);
            // In this order of loads, selections and additions LLVM emits the fastest code. In others the loop takes up to two
            // fifths longer.
//#if HALF
            w_at += 16u;
//#for p in 0..4
            let x{p} = select(vec2f(), unpack2(input[at{p}]), vec2(inside{p}, inside{p} && second));
//#endfor
//#else
//#for p in 0..4
            let pair{p} = unpack2(input[at{p}]);
//#endfor
//#for p in 0..4
            let x{p} = select(vec2f(), pair{p}, vec2(inside{p}, inside{p} && second));
//#endfor
            w_at += 16u;
//#endif
//#for p in 0..4
            at{p}++;
//#endfor
//#for i in 0..8
            let w{i} = subgroupBroadcast(held, {i}u);
//#for p in 0..4
            sums[{p}][{i}] += w{i} * x{p}.x;
//#endfor
            let v{i} = subgroupBroadcast(next, {i}u);
//#for p in 0..4
            sums[{p}][{i}] += v{i} * x{p}.y;
//#endfor
//#endfor
//#else
            let held = vec4f(weight[w_at]);
            w_at += 8u;
//#for p in 0..4
            let x{p} = select(0.0, f32(input[at{p}]), inside{p});
//#endfor
//#for p in 0..4
            at{p}++;
//#endfor
//#for i in 0..8
            let w{i} = subgroupBroadcast(held, {i}u);
//#for p in 0..4
            sums[{p}][{i}] += w{i} * x{p};
//#endfor
//#endfor
//#endif
            continuing {
                c += SOURCE_CHANNELS;
                break if c >= conv.group_source_channels;
            }
        }
