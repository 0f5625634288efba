//! The CPU twins against PyTorch: every case of `tests/golden/reference.safetensors`, which `tests/golden/reference.py`
//! made in f64. The twins are what the shaders are compared with, so they must be right to rounding.

use std::collections::{BTreeMap, BTreeSet};

use gpu_resnet::reference::{self, *};
use gpu_resnet::weights::{hash_input, hash_targets};
use serde_json::Value;

/// Largest error allowed, relative to the largest magnitude of the tensor.
const TOLERANCE: f64 = 1e-12;

/// Every operation with the number of cases below which the golden file isn't the one that was meant.
const OPERATIONS: [(&str, usize); 13] = [
    ("conv2d", 18),
    ("batch_norm", 19),
    ("relu", 6),
    ("add", 6),
    ("add_relu", 6),
    ("max_pool2d", 16),
    ("avg_pool2d", 16),
    ("global_avg_pool", 6),
    ("linear", 10),
    ("cross_entropy", 17),
    ("adam", 15),
    ("adamw", 15),
    ("sgd", 14),
];

/// One line of the golden file's list of cases.
#[derive(Clone)]
struct Case {
    name: String,
    op: String,
    inputs: Value,
    attributes: Value,
    outputs: BTreeSet<String>,
}

impl Case {
    fn shape(&self, input: &str) -> Vec<usize> {
        serde_json::from_value(self.inputs[input]["shape"].clone()).expect("an input with a shape")
    }

    fn has(&self, input: &str) -> bool {
        self.inputs.get(input).is_some()
    }

    /// The float values of an input, made as `values` in reference.py makes them.
    fn input(&self, input: &str) -> Tensor {
        let shape = self.shape(input);
        let mut data = uniform(&format!("{}.{input}", self.name), shape.iter().product());
        let kind = self.inputs[input]["kind"].as_str().expect("an input with a kind");
        for (i, x) in data.iter_mut().enumerate() {
            let u = (*x + 2.0) / 4.0;
            *x = match kind {
                "uniform" => *x,
                "ties" => (5.0 * u).floor() - 2.0,
                "nan" if i % 11 == 5 => f64::NAN,
                "special" if i % 11 == 3 => f64::NAN,
                "special" if i % 11 == 5 => f64::INFINITY,
                "special" if i % 11 == 8 => f64::NEG_INFINITY,
                "minus infinity" if i % 5 == 1 => f64::NEG_INFINITY,
                "nan" | "special" | "minus infinity" => *x,
                "positive" => 0.5 + u,
                "offset" => *x + 10.0,
                "zero" => 0.0,
                "large" => *x * 2f64.powi(100),
                "small" => *x * 2f64.powi(-100),
                _ => panic!("{}: unknown kind {kind}", self.name),
            };
        }
        Tensor::new(&shape, data)
    }

    /// The integer values of an input whose kind is "below LIMIT".
    fn integers(&self, input: &str) -> Vec<i64> {
        let kind = self.inputs[input]["kind"].as_str().expect("an input with a kind");
        let limit = kind.strip_prefix("below ").and_then(|limit| limit.parse().ok()).expect("below LIMIT");
        hash_targets(&format!("{}.{input}", self.name), self.shape(input).iter().product(), limit)
    }

    /// The upstream gradient of an output of `shape`.
    fn grad_output(&self, shape: &[usize]) -> Tensor {
        Tensor::new(shape, uniform(&format!("{}.grad_output", self.name), shape.iter().product()))
    }

    fn attribute<T: serde::de::DeserializeOwned>(&self, name: &str) -> T {
        let value = self.attributes[name].clone();
        serde_json::from_value(value).unwrap_or_else(|error| panic!("{}: attribute {name}: {error}", self.name))
    }

    fn pool(&self) -> PoolAttributes {
        PoolAttributes {
            kernel_size: self.attribute("kernel_size"),
            stride: self.attribute("stride"),
            padding: self.attribute("padding"),
            ceil_mode: self.attribute("ceil_mode"),
        }
    }

    fn adam(&self) -> AdamAttributes {
        AdamAttributes {
            lr: self.attribute("lr"),
            betas: self.attribute("betas"),
            eps: self.attribute("eps"),
            weight_decay: self.attribute("weight_decay"),
            amsgrad: self.attribute("amsgrad"),
            maximize: self.attribute("maximize"),
        }
    }

    /// The gradients of an optimiser's steps, in order.
    fn steps(&self) -> impl Iterator<Item = Tensor> {
        (0..).map(|step| format!("grad.{step}")).take_while(|name| self.has(name)).map(|name| self.input(&name))
    }
}

fn uniform(name: &str, count: usize) -> Vec<f64> {
    hash_input(name, count).into_iter().map(f64::from).collect()
}

/// The stored outputs by "CASE.TENSOR", and the cases.
fn golden() -> (BTreeMap<String, Vec<f64>>, Vec<Case>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/reference.safetensors");
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}; make it with reference.py"));
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("a safetensors header");
    let cases = &header.metadata().as_ref().expect("metadata")["cases"];
    let cases: Vec<Value> = serde_json::from_str(cases).expect("a list of cases");
    let text = |value: &Value| value.as_str().expect("text").to_string();
    let cases = cases.iter().map(|case| Case {
        name: text(&case["name"]),
        op: text(&case["op"]),
        inputs: case["inputs"].clone(),
        attributes: case["attributes"].clone(),
        outputs: case["outputs"].as_array().expect("a list of outputs").iter().map(text).collect(),
    });
    let tensors = file.iter().map(|(name, view)| {
        assert_eq!(view.dtype(), safetensors::Dtype::F64, "{name}");
        let values = view.data().as_chunks::<8>().0.iter().map(|&bytes| f64::from_le_bytes(bytes));
        (name.to_string(), values.collect())
    });
    (tensors.collect(), cases.collect())
}

/// Runs the twin of a case, giving its outputs by name.
fn run(case: &Case) -> Vec<(&'static str, Tensor)> {
    match case.op.as_str() {
        "conv2d" => {
            let attributes = Conv2dAttributes {
                stride: case.attribute("stride"),
                padding: case.attribute("padding"),
                dilation: case.attribute("dilation"),
                groups: case.attribute("groups"),
            };
            let (input, weight) = (case.input("input"), case.input("weight"));
            let bias = case.has("bias").then(|| case.input("bias"));
            let output = conv2d(&input, &weight, bias.as_ref(), &attributes);
            let grad = conv2d_backward(&input, &weight, &case.grad_output(&output.shape), &attributes);
            with_gradients(output, grad, bias.is_some())
        }
        "batch_norm" => {
            let attributes = BatchNormAttributes {
                eps: case.attribute("eps"),
                momentum: case.attribute("momentum"),
                training: case.attribute("training"),
            };
            let (input, weight, bias) = (case.input("input"), case.input("weight"), case.input("bias"));
            let (mean, var) = (case.input("running_mean"), case.input("running_var"));
            let found = batch_norm(&input, &weight, &bias, &mean, &var, &attributes);
            let grad_output = case.grad_output(&found.output.shape);
            let grad = batch_norm_backward(&input, &weight, &mean, &var, &grad_output, &attributes);
            let mut outputs = with_gradients(found.output, grad, true);
            outputs.extend([("running_mean", found.running_mean), ("running_var", found.running_var)]);
            outputs
        }
        "relu" => {
            let input = case.input("input");
            let output = relu(&input);
            let grad_input = relu_backward(&input, &case.grad_output(&output.shape));
            vec![("output", output), ("grad_input", grad_input)]
        }
        "add" | "add_relu" => {
            let (input, other) = (case.input("input"), case.input("other"));
            let grad_output = case.grad_output(&input.shape);
            let (output, (grad_input, grad_other)) = match case.op.as_str() {
                "add" => (add(&input, &other), add_backward(&grad_output)),
                _ => (add_relu(&input, &other), add_relu_backward(&input, &other, &grad_output)),
            };
            vec![("output", output), ("grad_input", grad_input), ("grad_other", grad_other)]
        }
        "max_pool2d" => {
            let (input, attributes) = (case.input("input"), case.pool());
            let output = max_pool2d(&input, &attributes);
            let grad_input = max_pool2d_backward(&input, &case.grad_output(&output.shape), &attributes);
            let indices = max_pool2d_indices(&input, &attributes).into_iter().map(|index| index as f64).collect();
            let indices = Tensor::new(&output.shape, indices);
            vec![("output", output), ("grad_input", grad_input), ("indices", indices)]
        }
        "avg_pool2d" => {
            let (input, attributes) = (case.input("input"), case.pool());
            let output = avg_pool2d(&input, &attributes);
            let grad_input = avg_pool2d_backward(&input.shape, &case.grad_output(&output.shape), &attributes);
            vec![("output", output), ("grad_input", grad_input)]
        }
        "global_avg_pool" => {
            let input = case.input("input");
            let output = global_avg_pool(&input);
            let grad_input = global_avg_pool_backward(&input.shape, &case.grad_output(&output.shape));
            vec![("output", output), ("grad_input", grad_input)]
        }
        "linear" => {
            let (input, weight) = (case.input("input"), case.input("weight"));
            let bias = case.has("bias").then(|| case.input("bias"));
            let output = linear(&input, &weight, bias.as_ref());
            let grad = linear_backward(&input, &weight, &case.grad_output(&output.shape));
            with_gradients(output, grad, bias.is_some())
        }
        "cross_entropy" => {
            let attributes = CrossEntropyAttributes {
                label_smoothing: case.attribute("label_smoothing"),
                ignore_index: case.attribute("ignore_index"),
            };
            let found = cross_entropy(&case.input("input"), &case.integers("target"), &attributes);
            vec![("loss", Tensor::new(&[], vec![found.loss])), ("grad_input", found.grad_input)]
        }
        "adam" | "adamw" => {
            let (mut param, attributes) = (case.input("param"), case.adam());
            let mut state = AdamState::new(&param.shape);
            let update = if case.op == "adam" { adam } else { adamw };
            case.steps().for_each(|grad| update(&mut param, &grad, &mut state, &attributes));
            let mut outputs = vec![("param", param), ("exp_avg", state.exp_avg), ("exp_avg_sq", state.exp_avg_sq)];
            if attributes.amsgrad {
                outputs.push(("max_exp_avg_sq", state.max_exp_avg_sq));
            }
            outputs
        }
        "sgd" => {
            let attributes = SgdAttributes {
                lr: case.attribute("lr"),
                momentum: case.attribute("momentum"),
                dampening: case.attribute("dampening"),
                weight_decay: case.attribute("weight_decay"),
                nesterov: case.attribute("nesterov"),
                maximize: case.attribute("maximize"),
            };
            let (mut param, mut state) = (case.input("param"), SgdState::default());
            case.steps().for_each(|grad| sgd(&mut param, &grad, &mut state, &attributes));
            let buffer = state.momentum_buffer.map(|buffer| ("momentum_buffer", buffer));
            [("param", param)].into_iter().chain(buffer).collect()
        }
        "preprocess" => {
            let pixels: Vec<u8> = case.integers("pixels").into_iter().map(|value| value as u8).collect();
            let shape = case.shape("pixels");
            let dims = [shape[0], shape[1], shape[2]];
            vec![("output", preprocess(&pixels, dims, case.attribute("mean"), case.attribute("std")))]
        }
        op => panic!("{}: no twin of {op} is tested here", case.name),
    }
}

fn with_gradients(output: Tensor, gradients: Gradients, bias: bool) -> Vec<(&'static str, Tensor)> {
    let Gradients { grad_input, grad_weight, grad_bias } = gradients;
    let mut outputs = vec![("output", output), ("grad_input", grad_input), ("grad_weight", grad_weight)];
    if bias {
        outputs.push(("grad_bias", grad_bias));
    }
    outputs
}

#[test]
fn twins_equal_pytorch() {
    let (tensors, cases) = golden();
    let mut problems = Vec::new();
    let mut worst = BTreeMap::<&str, f64>::new();
    let mut compared = 0;
    for case in &cases {
        let outputs = run(case);
        let names: BTreeSet<String> = outputs.iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, case.outputs, "{}: the twin's outputs aren't PyTorch's", case.name);
        for (name, found) in outputs {
            let key = format!("{}.{name}", case.name);
            let result = reference::compare_f64(&found.data, &tensors[&key]);
            let worst = worst.entry(&case.op).or_default();
            *worst = worst.max(result.max_scaled());
            compared += 1;
            if result.max_scaled() > TOLERANCE {
                problems.push(format!("{key}: {result:?}"));
            }
        }
    }
    println!("largest scaled error of each operation: {worst:?}");
    assert!(problems.is_empty(), "{} differ from PyTorch:\n{}", problems.len(), problems.join("\n"));
    assert_eq!(compared, tensors.len(), "tensors in the golden file that no case names");
}

#[test]
fn the_golden_file_has_all_cases() {
    let (_, cases) = golden();
    for (op, minimum) in OPERATIONS.into_iter().chain([("preprocess", 4)]) {
        let count = cases.iter().filter(|case| case.op == op).count();
        assert!(count >= minimum, "{op}: {count} cases, expected at least {minimum}");
    }
}

/// The negative control: twins that are slightly wrong, in ways that people get wrong, don't pass.
#[test]
fn slightly_wrong_attributes_are_caught() {
    let (tensors, cases) = golden();
    for (name, attribute, value) in [
        ("conv2d/uneven", "dilation", serde_json::json!([2, 3])),
        ("batch_norm/eval default", "eps", serde_json::json!(1.000001e-5)),
        ("batch_norm/training default", "momentum", serde_json::json!(0.9)),
        ("cross_entropy/smoothing", "label_smoothing", serde_json::json!(0.1000001)),
        ("cross_entropy/ignored", "ignore_index", serde_json::json!(-100)),
        ("adam/ten steps", "eps", serde_json::json!(1.1e-8)),
        ("adamw/default", "weight_decay", serde_json::json!(0.0)),
        ("sgd/dampening", "dampening", serde_json::json!(0.0)),
        ("max_pool2d/caffe", "ceil_mode", serde_json::json!(false)),
    ] {
        let mut case = cases.iter().find(|case| case.name == name).expect("the case of that name").clone();
        case.attributes[attribute] = value;
        let differs = run(&case).iter().any(|(output, found)| {
            let result = reference::compare_f64(&found.data, &tensors[&format!("{name}.{output}")]);
            result.max_scaled() > TOLERANCE
        });
        assert!(differs, "{name}: a wrong {attribute} went unnoticed");
    }
}
