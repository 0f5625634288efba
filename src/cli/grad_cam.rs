//! `infer --grad-cam DIR`: for each image, a picture of where its class was seen.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::model::LoadedNetwork;
use crate::data::{self, Dataset, FileList, Preprocess, Rgb8};
use crate::error::{Error, Result};
use crate::gpu::block_on;
use crate::model::{ClassMap, GradCam, InputKind, Network};
use crate::predict::Finite;

/// An image as the network sees it, and where its class was seen.
pub struct Seen {
    image: Rgb8,
    map: ClassMap,
}

/// Draws overlays into a folder.
pub struct Overlays<'a> {
    folder: &'a Path,
    preprocess: &'a Preprocess,
    /// Planned at the first image.
    grad_cam: Option<GradCam>,
    /// How many images had each name.
    names: HashMap<String, usize>,
    /// Whether the folder was created.
    made: bool,
}

impl<'a> Overlays<'a> {
    /// Checks that the folder exists or can be created.
    pub fn new(folder: &'a Path, model: &'a LoadedNetwork) -> Result<Self> {
        if folder.exists() && !folder.is_dir() {
            return Err(Error::file(folder, "is a file; name a folder as --grad-cam"));
        }
        Ok(Self { folder, preprocess: &model.preprocess, grad_cam: None, names: HashMap::new(), made: false })
    }

    /// Image `i` of `source` as the network sees it, and the map of its most likely class, which is finite.
    pub fn see(&mut self, network: &Network, source: &FileList, i: usize, finite: &Finite) -> Result<Seen> {
        let Preprocess { mean, std, crop, .. } = *self.preprocess;
        let grad_cam = match &mut self.grad_cam {
            Some(planned) => planned,
            none => none.insert(GradCam::new(network, InputKind::Pixels { mean, std }, [crop as usize; 2])?),
        };
        let image = self.preprocess.apply(&source.image(i)?)?;
        let map = block_on(grad_cam.run_pixels(&image.pixels, None))?;
        finite.check(&source.name(i), "gradients", &map.data)?;
        Ok(Seen { image, map })
    }

    /// Draws the map over `image`. Returns the picture's path.
    pub fn draw(&mut self, image: &Path, seen: &Seen) -> Result<PathBuf> {
        // Only once there is a picture to write: a run that cannot start creates no folder.
        if !std::mem::replace(&mut self.made, true) {
            data::make_maps_folder(self.folder)
                .map_err(|e| Error::file(self.folder, format!("could not be created: {e}; name another --grad-cam")))?;
        }
        let Seen { image: pixels, map } = seen;
        let picture = data::overlay(pixels, &map.heat(), [map.height, map.width])?;
        let path = self.folder.join(self.name(image));
        data::write_png(&picture, &path)?;
        Ok(path)
    }

    /// The image's name, ending in .png; a second one of the same name gets a number.
    fn name(&mut self, image: &Path) -> String {
        let stem = image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        loop {
            let seen = self.names.entry(stem.clone()).or_default();
            *seen += 1;
            let name = if *seen == 1 { stem.clone() } else { format!("{stem}-{seen}") };
            // `a-2.jpg` may be an image's own name.
            if name == stem || self.names.insert(name.clone(), 1).is_none() {
                return name + ".png";
            }
        }
    }
}
