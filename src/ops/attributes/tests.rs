use super::*;

#[test]
fn conv_sizes_are_pytorchs() {
    let stem = Conv2dAttributes { stride: [2, 2], padding: [3, 3], ..Default::default() };
    assert_eq!(stem.output_size(224, 224, 7, 7).unwrap(), (112, 112));
    let uneven = Conv2dAttributes { stride: [2, 1], padding: [0, 2], dilation: [1, 3], groups: 1 };
    assert_eq!(uneven.output_size(6, 5, 3, 3).unwrap(), (2, 3));
}

#[test]
fn conv_refuses_what_pytorch_refuses() {
    let default = Conv2dAttributes::default();
    for (attributes, kernel) in [
        (Conv2dAttributes { stride: [0, 1], ..default }, 3),
        (Conv2dAttributes { dilation: [1, 0], ..default }, 3),
        (Conv2dAttributes { groups: 0, ..default }, 3),
        (Conv2dAttributes { dilation: [4, 4], ..default }, 3),
        (Conv2dAttributes { padding: [usize::MAX, 0], ..default }, 3),
        (Conv2dAttributes { padding: [MAX_EXTENT, 0], ..default }, 3),
        (default, 0),
        (default, 9),
        (default, usize::MAX),
    ] {
        let found = attributes.output_size(8, 8, kernel, kernel);
        assert!(matches!(found, Err(Error::Shape { .. })), "{attributes:?} kernel {kernel}: {found:?}");
    }
    let groups = Conv2dAttributes { groups: 3, ..default };
    assert_eq!(groups.output_shape([2, 6, 5, 5], [9, 2, 3, 3]).unwrap(), [2, 9, 3, 3]);
    assert!(groups.output_shape([2, 6, 5, 5], [8, 2, 3, 3]).is_err());
    assert!(groups.output_shape([2, 5, 5, 5], [9, 2, 3, 3]).is_err());
    assert!(groups.output_shape([2, 6, 5, 5], [9, 6, 3, 3]).is_err());
    assert!(groups.output_shape([usize::MAX, 6, 5, 5], [9, 2, 3, 3]).is_err());
}

#[test]
fn pool_sizes_are_pytorchs() {
    let pool = |kernel, stride, padding, ceil_mode| PoolAttributes {
        kernel_size: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        ceil_mode,
    };
    for (attributes, input, expected) in [
        (pool(3, 2, 1, false), 112, 56),
        (pool(3, 2, 0, false), 112, 55),
        (pool(3, 2, 0, true), 112, 56),
        // The rounded-up third window would start in the right padding, so it is dropped.
        (pool(2, 2, 1, true), 3, 2),
        (pool(1, 3, 0, true), 2, 1),
        // A single window larger than the input.
        (pool(3, 2, 0, true), 2, 1),
    ] {
        assert_eq!(attributes.output_size(input, input).unwrap(), (expected, expected), "{attributes:?} on {input}");
    }
}

#[test]
fn pool_refuses_what_pytorch_refuses() {
    let pool = PoolAttributes::new([3, 3]);
    for attributes in [
        PoolAttributes { stride: [2, 0], ..pool },
        PoolAttributes { kernel_size: [0, 3], ..pool },
        PoolAttributes { padding: [2, 0], ..pool },
        PoolAttributes { kernel_size: [9, 9], ..pool },
        PoolAttributes { kernel_size: [12, 9], ceil_mode: true, ..pool },
        PoolAttributes { kernel_size: [usize::MAX, 3], padding: [usize::MAX / 2, 0], ..pool },
    ] {
        assert!(matches!(attributes.output_size(8, 8), Err(Error::Shape { .. })), "{attributes:?}");
    }
    assert!(pool.output_size(0, 8).is_err());
}

#[test]
fn numbers_are_checked() {
    let norm = BatchNormAttributes { training: true, ..Default::default() };
    assert!(norm.check(2).is_ok() && norm.check(1).is_err());
    assert!(BatchNormAttributes { eps: f64::NAN, ..norm }.check(2).is_err());
    assert!(BatchNormAttributes { eps: 0.0, ..norm }.check(2).is_err());
    assert!(CrossEntropyAttributes::default().check().is_ok());
    assert!(CrossEntropyAttributes { label_smoothing: 1.1, ..Default::default() }.check().is_err());
    assert!(AdamAttributes::adamw().check("adamw").is_ok());
    assert!(AdamAttributes { betas: [0.9, 1.0], ..Default::default() }.check("adam").is_err());
    assert!(AdamAttributes { lr: f64::INFINITY, ..Default::default() }.check("adam").is_err());
    assert!(SgdAttributes { nesterov: true, momentum: 0.9, ..Default::default() }.check().is_ok());
    assert!(SgdAttributes { nesterov: true, ..Default::default() }.check().is_err());
}
