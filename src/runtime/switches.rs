//! Settings that change which kernels run and not what is computed. The program reads them from the environment; a library's caller
//! sets them.

use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, DeviceOptions};
use crate::ops::Conv2dSwitch;

/// What a [`Runtime`](super::Runtime) opens its adapters with. The default asks for nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Switches {
    /// The kernel or algorithm that computes every convolution that it fits, to bisect a driver bug (`GPU_RESNET_CONV2D`).
    pub conv2d: Option<Conv2dSwitch>,
    /// Check buffer accesses in every kernel (`GPU_RESNET_BOUNDS_CHECKS`).
    pub bounds_checks: bool,
    /// Which tuned kernels are used (`GPU_RESNET_TUNE`).
    pub tuned: TunedKernels,
}

/// Which tuned kernels plans use, and whether kernels are measured at the first use of an adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TunedKernels {
    /// Those that are kept for the adapter; on hardware they are measured at its first use.
    #[default]
    Usual,
    /// None.
    Off,
    /// Those that are kept; none is measured.
    Kept,
    /// Those that are kept; they are measured at the first use of software drivers too.
    FirstUse,
}

impl TunedKernels {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Usual, Self::Off, Self::Kept, Self::FirstUse];

    /// What `GPU_RESNET_TUNE` calls it; the usual has no name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::Off => "off",
            Self::Kept => "on",
            Self::FirstUse => "first",
        }
    }
}

impl Switches {
    /// `options` with what is asked for.
    pub fn device_options(&self, options: DeviceOptions) -> DeviceOptions {
        DeviceOptions {
            conv2d: self.conv2d.map(Conv2dSwitch::name),
            bounds_checks: self.bounds_checks.then_some(true).or(options.bounds_checks),
            ..options
        }
    }

    /// Refuses to run on an adapter that has not the kernel that is asked for: another would run in its place.
    ///
    /// # Errors
    /// [`Error::Usage`] that says why.
    pub fn check(&self, adapter: &AdapterReport) -> Result<()> {
        let Some(switch) = self.conv2d else { return Ok(()) };
        switch.supported(adapter).map_err(|why| {
            let (kernel, name) = (switch.name(), &adapter.name);
            Error::Usage(format!("GPU_RESNET_CONV2D={kernel}: the adapter {name} can't run it: {why}; unset it"))
        })
    }

    /// Whether kernels are measured at the first use of `adapter`: on hardware, unless one kernel is asked for. Software drivers' defaults
    /// were measured when this program was made.
    pub(super) fn measures_at_first_use(&self, adapter: &AdapterReport) -> bool {
        let wanted = match self.tuned {
            TunedKernels::FirstUse => true,
            TunedKernels::Kept | TunedKernels::Off => false,
            TunedKernels::Usual => adapter.kind != "cpu",
        };
        wanted && self.conv2d.is_none()
    }
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt as _;

    use super::*;
    use crate::gpu::list_adapters;
    use crate::ops::Conv2dVariant;

    fn adapter(kind: &str) -> AdapterReport {
        let mut adapter = list_adapters(None).block_on().swap_remove(0);
        (adapter.kind, adapter.subgroup_size) = (kind.into(), [32, 32]);
        adapter
    }

    #[test]
    fn kernels_are_measured_at_the_first_use_where_they_are_wanted() {
        let of = |tuned, kind: &str| Switches { tuned, ..Default::default() }.measures_at_first_use(&adapter(kind));
        assert_eq!(TunedKernels::ALL.map(|tuned| of(tuned, "cpu")), [false, false, false, true]);
        assert_eq!(TunedKernels::ALL.map(|tuned| of(tuned, "discrete")), [true, false, false, true]);
        let one =
            Switches { conv2d: Some(Conv2dSwitch::SpaceToDepth), tuned: TunedKernels::FirstUse, bounds_checks: false };
        assert!(!one.measures_at_first_use(&adapter("discrete")));
    }

    #[test]
    fn a_kernel_that_the_adapter_lacks_is_refused() {
        let of = |switch| Switches { conv2d: Some(switch), ..Default::default() };
        let refused = of(Conv2dSwitch::Kernel(Conv2dVariant::SUBGROUP4)).check(&adapter("cpu")).unwrap_err();
        assert_eq!(refused.exit_status(), 2);
        assert!(refused.to_string().contains("GPU_RESNET_CONV2D=subgroup4: the adapter"), "{refused}");
        for able in [Conv2dSwitch::Kernel(Conv2dVariant::Register), Conv2dSwitch::SpaceToDepth] {
            of(able).check(&adapter("cpu")).unwrap();
        }
        Switches::default().check(&adapter("cpu")).unwrap();
    }

    #[test]
    fn devices_are_opened_with_what_is_asked_for() {
        let asked = Switches { conv2d: Some(Conv2dSwitch::SpaceToDepth), bounds_checks: true, ..Default::default() };
        let options = asked.device_options(DeviceOptions::default());
        assert_eq!((options.conv2d, options.bounds_checks), (Some("space-to-depth"), Some(true)));
        let off = DeviceOptions { bounds_checks: Some(false), ..Default::default() };
        let options = Switches::default().device_options(off);
        assert_eq!((options.conv2d, options.bounds_checks), (None, Some(false)));
    }
}
