//! Setters that whatever has a network's `source` and a `runtime` shares.

/// The setters; `$precision` says what is stored so, `$reporter` what is told.
macro_rules! source_and_runtime_setters {
    ($precision:literal, $reporter:literal) => {
        /// What `--weights` takes; see [`Classifier::open`](crate::Classifier::open).
        pub fn weights(mut self, weights: impl Into<std::ffi::OsString>) -> Self {
            self.source.weights = Some(weights.into());
            self
        }

        /// What the weights' file does not tell; it wins over the file.
        pub fn overrides(mut self, overrides: $crate::weights::Overrides) -> Self {
            self.source.overrides = overrides;
            self
        }

        /// Scale and crop images to this side instead of the size that the weights were made for.
        pub fn image_size(mut self, side: u32) -> Self {
            self.source.image_size = Some(side);
            self
        }

        /// The adapter: its number in `gpu-resnet devices`, or a part of its name.
        pub fn adapter(mut self, adapter: impl Into<String>) -> Self {
            self.runtime.adapters = vec![$crate::gpu::AdapterChoice { adapter: Some(adapter.into()), backend: None }];
            self
        }

        #[doc = $precision]
        pub fn precision(mut self, precision: $crate::ops::Precision) -> Self {
            self.runtime.precision = precision;
            self
        }

        #[doc = $reporter]
        pub fn reporter(mut self, reporter: impl $crate::runtime::Reporter + 'static) -> Self {
            self.runtime.reporter = std::sync::Arc::new(reporter);
            self
        }

        /// What it runs on, all at once.
        pub fn runtime(mut self, runtime: $crate::runtime::Runtime) -> Self {
            self.runtime = runtime;
            self
        }
    };
}

pub(crate) use source_and_runtime_setters;
