//! The methods by name, with the widths of their heads that are compiled.

/// Builds the method that a configuration names on the encoder type `$E`, and calls a function that is generic over it:
/// `with_method!(E, FEATURES, dev, config, data, |model| train(model))`. `data` is (images, steps an epoch).
macro_rules! with_method {
    ($E:ty, $features:expr, $dev:expr, $config:expr, $data:expr, |$model:ident| $then:expr) => {{
        use simsiam_model::methods as m;
        use $crate::config::Method;
        let (dev, seed) = ($dev, $config.seed);
        macro_rules! simsiam {
            ($dim:literal) => {{
                let (images, steps_per_epoch) = $data;
                let config = $config.simsiam(images, steps_per_epoch);
                let $model =
                    m::SimSiam::<$E, { $features }, 2048, $dim, { $dim / 4 }, _>::new(dev, &config, seed);
                $then
            }};
        }
        match ($config.method, $config.projector_dim) {
            (Method::Simsiam, 256) => simsiam!(256),
            (Method::Simsiam, 512) => simsiam!(512),
            (Method::Simsiam, 1024) => simsiam!(1024),
            (Method::Simsiam, _) => simsiam!(2048),
            (Method::Byol, _) => {
                let $model =
                    m::Byol::<$E, { $features }, 4096, 256, 4096, _>::new(dev, &$config.byol(), seed);
                $then
            }
            (Method::Simclr, _) => {
                let $model = m::SimClr::<$E, { $features }, 2048, 128, _>::new(dev, &$config.simclr(), seed);
                $then
            }
            (Method::Mocov2, _) => {
                let $model = m::MoCoV2::<$E, { $features }, 2048, 128, _>::new(dev, &$config.mocov2(), seed);
                $then
            }
            (Method::Swav, _) => {
                const K: usize = $crate::config::PROTOTYPES;
                let $model = m::SwAv::<$E, { $features }, 2048, 128, K, _>::new(dev, &$config.swav(), seed);
                $then
            }
        }
    }};
}
pub(crate) use with_method;
