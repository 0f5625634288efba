//! Training that stops and goes on ends in the same bits as training that never stopped.

use gpu_resnet::train::{HeadOptions, HeadState, HeadTrainer, Optimizer, Scaler};
use pollster::FutureExt as _;

use super::support::{Data, adapter};
use crate::adapters::open_all as adapters;

fn options(optimizer: &str) -> HeadOptions {
    HeadOptions { optimizer: Optimizer::named(optimizer).unwrap(), lr: 3e-3, seed: 7, ..HeadOptions::default() }
}

/// The state after `epochs`, from `start` on if there is one.
fn run(trainer: &mut HeadTrainer, start: Option<&HeadState>, epochs: std::ops::RangeInclusive<u64>) -> HeadState {
    if let Some(state) = start {
        trainer.restore(state).unwrap();
    }
    for epoch in epochs {
        trainer.epoch(epoch, |_| Ok(())).block_on().unwrap();
    }
    trainer.state().block_on().unwrap()
}

#[test]
fn resuming_gives_the_same_bits() {
    let data = Data::small();
    for gpu in adapters() {
        for optimizer in ["adam", "adamw", "sgd"] {
            let new =
                |options| HeadTrainer::new(&gpu, data.shape, data.train(), Some(data.val()), options, None).unwrap();
            let options = options(optimizer);
            let straight = run(&mut new(options), None, 1..=6);
            let half = run(&mut new(options), None, 1..=3);
            let resumed = run(&mut new(options), Some(&half), 4..=6);
            assert_eq!(straight, resumed, "{optimizer}");
            assert_eq!(straight.step, 6 * 7);
            // Negative controls: an optimiser that forgot its moments, and another seed's order, show.
            let forgetful = HeadState { moments: half.moments.iter().map(zeroed).collect(), ..half.clone() };
            assert_ne!(straight.head, run(&mut new(options), Some(&forgetful), 4..=6).head, "{optimizer}");
            let other_order = HeadOptions { seed: 8, ..options };
            assert_ne!(straight.head, run(&mut new(other_order), Some(&half), 4..=6).head, "{optimizer}");
        }
    }
}

fn zeroed(moment: &gpu_resnet::train::Moment) -> gpu_resnet::train::Moment {
    let mut moment = moment.clone();
    moment.weight.fill(0.0);
    moment.bias.fill(0.0);
    moment
}

#[test]
fn features_that_do_not_fit_give_the_same_bits() {
    let data = Data::small();
    for gpu in adapters() {
        let scaler = Scaler::fit(data.train().features, data.shape.features);
        for scaler in [None, Some(scaler)] {
            let mut results = Vec::new();
            for resident_bytes in [u64::MAX, 0] {
                let options = HeadOptions { resident_bytes, batch_size: 16, ..options("adam") };
                let (shape, scaler) = (data.shape, scaler.clone());
                let mut trainer =
                    HeadTrainer::new(&gpu, shape, data.train(), Some(data.val()), options, scaler).unwrap();
                let epochs: Vec<_> =
                    (1..=2).map(|epoch| trainer.epoch(epoch, |_| Ok(())).block_on().unwrap()).collect();
                let losses: Vec<_> = epochs.iter().map(|e| (e.train_loss, e.train_accuracy, e.val_loss)).collect();
                results.push((trainer.state().block_on().unwrap(), losses, trainer.step_losses().to_vec()));
            }
            assert_eq!(results[0], results[1]);
        }
    }
}

#[test]
fn a_standardised_head_is_a_plain_head() {
    let data = Data::small();
    let gpu = adapter();
    let scaler = Scaler::fit(data.train().features, data.shape.features);
    let new =
        |scaler| HeadTrainer::new(&gpu, data.shape, data.train(), Some(data.val()), options("adam"), scaler).unwrap();
    let mut scaled = new(Some(scaler));
    let result = scaled.epoch(1, |_| Ok(())).block_on().unwrap();
    let mut plain = new(None);
    plain.start(&scaled.head().block_on().unwrap(), 1e-3).unwrap();
    let found = plain.validate().block_on().unwrap().unwrap();
    assert!((found.loss - result.val_loss.unwrap()).abs() < 1e-5, "{found:?} {result:?}");
    assert_eq!(Some(found.accuracy), result.val_accuracy);
    // Negative control: without the folding it would be another head.
    plain.start(&scaled.state().block_on().unwrap().head, 1e-3).unwrap();
    assert!((plain.validate().block_on().unwrap().unwrap().loss - found.loss).abs() > 1e-3);
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let data = Data::small();
    let gpu = adapter();
    let new = |train, options| HeadTrainer::new(&gpu, data.shape, train, None, options, None);
    let good = data.train();
    let mut features = good.features.to_vec();
    features[40] = f32::NAN;
    let labels = vec![5; good.len()];
    let bad = [
        gpu_resnet::train::Examples { features: &features, ..good },
        gpu_resnet::train::Examples { labels: &labels, ..good },
        gpu_resnet::train::Examples { features: &good.features[1..], ..good },
        gpu_resnet::train::Examples { features: &[], labels: &[] },
    ];
    for examples in bad {
        let error = new(examples, options("adam")).err().expect("an error").to_string();
        assert!(error.starts_with("head training: "), "{error}");
    }
    assert!(new(good, HeadOptions { batch_size: 0, ..options("adam") }).is_err());
    let mut trainer = new(good, options("adam")).unwrap();
    for order in [vec![0; good.len() + 1], (1..=good.len()).collect(), (1..good.len()).collect()] {
        assert!(trainer.epoch_in_order(1, order, |_| Ok(())).block_on().is_err());
    }
    let sgd = new(good, options("sgd")).unwrap().state().block_on().unwrap();
    assert!(trainer.restore(&sgd).unwrap_err().to_string().contains("optimizer"));
}
