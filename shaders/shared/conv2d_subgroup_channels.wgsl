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
            let octs = array({p in 0..4: input[at[{p}]]});
            let x = array({p in 0..4: select(vec4f(), first4(octs[{p}]), live[{p}])});
            let y = array({p in 0..4: select(vec4f(), last4(octs[{p}]), live[{p}])});
//#else
            let quads = array({p in 0..4: unpack4(input[at[{p}]])});
            let x = array({p in 0..4: select(vec4f(), quads[{p}], live[{p}])});
            w_at += 16u;
            at += 1u;
//#endif
            add_two(&sums, even0, odd0, array({p in 0..4: x[{p}].xy}));
            add_two(&sums, even1, odd1, array({p in 0..4: x[{p}].zw}));
//#if PAIRED_MAPS
//#for h in 2..4
            let both{h} = weight[w_at + {8 * h}u];
            let even{h} = first4(both{h});
            let odd{h} = last4(both{h});
//#endfor
            w_at += 32u;
            at += 1u;
            add_two(&sums, even2, odd2, array({p in 0..4: y[{p}].xy}));
            add_two(&sums, even3, odd3, array({p in 0..4: y[{p}].zw}));
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
            let x = array({p in 0..4: select(vec2f(), unpack2(input[at[{p}]]), vec2(live[{p}], live[{p}] && second))});
//#else
            let pairs = array({p in 0..4: unpack2(input[at[{p}]])});
            let x = array({p in 0..4: select(vec2f(), pairs[{p}], vec2(live[{p}], live[{p}] && second))});
            w_at += 16u;
//#endif
            at += 1u;
            add_two(&sums, held, next, x);
//#else
            let held = vec4f(weight[w_at]);
            w_at += 8u;
            let x = array({p in 0..4: select(0.0, f32(input[at[{p}]]), live[{p}])});
            at += 1u;
//#for i in 0..8
            let w{i} = subgroupBroadcast(held, {i}u);
//#for p in 0..4
            sums[{p}][{i}] += w{i} * x[{p}];
//#endfor
//#endfor
//#endif
            continuing {
                c += SOURCE_CHANNELS;
                break if c >= conv.group_source_channels;
            }
        }
