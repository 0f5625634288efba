//! Faults of the kernels for cooperative matrices, each in the forms for some of the matrices that there are.

use super::others::Fault;

pub(super) const COOPERATIVE: &[Fault] = &[
    (
        "a matrix of the second row is that of the first",
        "conv2d_cooperative_f16",
        "left[i] = coopLoadT<Left>(&activations[left_at + i * SIDE * PITCH",
        "left[i] = coopLoadT<Left>(&activations[left_at + 0u * SIDE * PITCH",
        "conv2d n=1 c=5 h=6 w=7 k=5 kernel=3 precision=f16 variant=cooperative",
    ),
    (
        "a matrix of the second column is that of the first",
        "conv2d_cooperative",
        "let right = coopLoad<Right>(&weights[right_at + j * SIDE * PITCH",
        "let right = coopLoad<Right>(&weights[right_at + 0u * SIDE * PITCH",
        "conv2d n=1 c=5 h=6 w=7 k=15 kernel=3 variant=cooperative",
    ),
    (
        "a matrix of sums forgets the tiles before the last",
        "conv2d_cooperative_f16_eight",
        "sums[sum] = coopMultiplyAdd(left[i], right, sums[sum]);",
        "sums[sum] = coopMultiplyAdd(left[i], right, Sum());",
        "conv2d n=1 c=5 h=6 w=7 k=5 kernel=3 precision=f16 variant=cooperative",
    ),
    (
        "what a tile added counts twice",
        "conv2d_cooperative_f16",
        "sums[sum] = coopMultiplyAdd(left[i], right, sums[sum]);",
        "sums[sum] = coopMultiplyAdd(left[i], right, coopMultiplyAdd(left[i], right, sums[sum]));",
        "conv2d n=1 c=5 h=6 w=7 k=5 kernel=3 precision=f16 variant=cooperative",
    ),
    (
        "what a tile added counts twice",
        "conv2d_cooperative_f16_eight",
        "sums[sum] = coopMultiplyAdd(left[i], right, sums[sum]);",
        "sums[sum] = coopMultiplyAdd(left[i], right, coopMultiplyAdd(left[i], right, sums[sum]));",
        "conv2d n=1 c=5 h=6 w=7 k=5 kernel=3 precision=f16 variant=cooperative",
    ),
    (
        "a step is left out between one tile and the next",
        "conv2d_cooperative_128x64_f16_eight",
        "walk = walk_on(phase, walk, stride, group_in4, true);",
        "walk = walk_on(phase, walk, Stride(stride.place, stride.channel4 + 1u), group_in4, true);",
        "conv2d n=1 c=36 h=1 w=128 k=129 kernel=1 bias=true precision=f16 variant=cooperative-128x64",
    ),
    (
        "the second half of a part's rows is the first",
        "conv2d_backward_input_cooperative_f16_eight",
        "sums[(turn * ACROSS + half / SIDE + i) * ACROSS + j];",
        "sums[(turn * ACROSS + i) * ACROSS + j];",
        "conv2d_backward_input n=1 c=64 h=1 w=64 k=16 kernel=1 residual=true precision=f16 variant=cooperative",
    ),
];
