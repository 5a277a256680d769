use half::bf16;
use safetensors::tensor::{Dtype, TensorView};

use super::*;
use crate::config::Method;
use crate::weights::tests::network;

fn resnet8(seed: u64) -> Network<Cpu> {
    network(Preset::Cifar10, Arch::Resnet8, seed).1
}

fn of(file: &[NamedTensor]) -> ForeignWeights {
    ForeignWeights::parse(&tensor_file::encode(file, None).unwrap()).unwrap()
}

fn renamed(tensors: &[NamedTensor], rename: impl Fn(&str) -> Option<String>) -> Vec<NamedTensor> {
    let renamed = tensors
        .iter()
        .filter_map(|tensor| Some(NamedTensor { name: rename(&tensor.name)?, ..tensor.clone() }));
    renamed.collect()
}

#[test]
fn the_names_of_the_papers_code_are_understood_and_its_idle_bias_goes_into_the_mean() {
    let theirs = state::export(&resnet8(1));
    let mut file =
        renamed(&theirs, |name| Some(format!("module.{}", name.replace("projector.", "encoder.fc."))));
    let bias: Vec<f32> = (0..2048).map(|i| i as f32 / 512.0).collect();
    file.push(NamedTensor { name: "module.encoder.fc.3.bias".into(), shape: vec![2048], data: bias.clone() });
    let mut network = resnet8(0);
    let used = file.len();
    let taken = of(&file).read_into(&mut network).unwrap();
    assert_eq!(taken, Taken { heads: vec!["projector", "predictor"], used, left_out: vec![] });
    for (own, theirs) in state::export(&network).into_iter().zip(theirs) {
        if own.name == "projector.4.running_mean" {
            let expected: Vec<f32> = theirs.data.iter().zip(&bias).map(|(mean, bias)| mean - bias).collect();
            assert_eq!(own.data, expected);
        } else {
            assert_eq!(own, theirs);
        }
    }
}

#[test]
fn of_mocos_checkpoints_the_query_encoder_is_taken_in_half_precision_too() {
    let theirs = state::export(&resnet8(1));
    let encoder = renamed(&theirs, |name| name.starts_with(ENCODER).then(|| name.to_owned()));
    let halves: Vec<(String, Vec<u8>)> = encoder
        .iter()
        .map(|tensor| {
            let bytes = tensor.data.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes());
            (tensor.name.replace(ENCODER, "module.encoder_q."), bytes.collect())
        })
        .collect();
    let mut views: Vec<_> = halves
        .iter()
        .zip(&encoder)
        .map(|((name, bytes), tensor)| (name.as_str(), Dtype::BF16, tensor.shape.clone(), bytes.as_slice()))
        .collect();
    let integer = 7i64.to_le_bytes();
    for name in
        ["module.queue_ptr", "module.encoder_q.bn1.num_batches_tracked", "module.encoder_k.conv1.weight"]
    {
        views.push((name, Dtype::I64, vec![1], &integer));
    }
    let views = views
        .into_iter()
        .map(|(name, dtype, shape, bytes)| (name, TensorView::new(dtype, shape, bytes).unwrap()));
    let file = safetensors::serialize(views, None).unwrap();
    let mut network = resnet8(0);
    let taken = ForeignWeights::parse(&file).unwrap().read_into(&mut network).unwrap();
    assert_eq!((taken.used, taken.left_out.len()), (encoder.len(), 3), "{:?}", taken.left_out);
    for (own, theirs) in state::export(&network).iter().zip(&encoder) {
        let rounded: Vec<f32> = theirs.data.iter().map(|&x| bf16::from_f32(x).to_f32()).collect();
        assert_eq!((&own.name, &own.data), (&theirs.name, &rounded));
    }
}

#[test]
fn two_tensors_for_one_layer_integers_and_what_is_no_number_are_refused() {
    let tensor = |name: &str| NamedTensor { name: name.into(), shape: vec![1], data: vec![0.0] };
    let twice = [tensor("conv1.weight"), tensor("encoder.conv1.weight")];
    let error = ForeignWeights::parse(&tensor_file::encode(&twice, None).unwrap()).err().unwrap();
    assert!(error.contains("are the same layer's"), "{error}");
    let diverged = [NamedTensor { data: vec![f32::NAN], ..tensor("conv1.weight") }];
    let error = ForeignWeights::parse(&tensor_file::encode(&diverged, None).unwrap()).err().unwrap();
    assert_eq!(error, "tensor \"conv1.weight\" holds NaN, as of a run that diverged");
    let view = TensorView::new(Dtype::I64, vec![1], &[0; 8]).unwrap();
    let file = safetensors::serialize([("conv1.weight", view)], None).unwrap();
    let error = ForeignWeights::parse(&file).err().unwrap();
    assert_eq!(error, "tensor \"conv1.weight\" is I64; F64, F32, F16 and BF16 can be read");
}

#[test]
fn torchvisions_names_give_the_encoder_alone() {
    let theirs = state::export(&resnet8(1));
    let mut file = renamed(&theirs, |name| name.strip_prefix(ENCODER).map(str::to_owned));
    file.push(NamedTensor { name: "fc.bias".into(), shape: vec![10], data: vec![0.0; 10] });
    let (mut network, before) = (resnet8(0), state::export(&resnet8(0)));
    let taken = of(&file).read_into(&mut network).unwrap();
    let used = file.len() - 1;
    assert_eq!(taken, Taken { heads: vec![], used, left_out: vec!["fc.bias".into()] });
    for ((own, before), theirs) in state::export(&network).iter().zip(&before).zip(&theirs) {
        assert_eq!(own, if own.name.starts_with(ENCODER) { theirs } else { before });
    }
}

#[test]
fn an_encoder_that_does_not_fit_changes_nothing() {
    let mut file = state::export(&resnet8(1));
    file.retain(|tensor| tensor.name != "encoder.layer3.0.bn2.weight");
    let mut network = resnet8(0);
    let before = state::export(&network);
    let error = of(&file).read_into(&mut network).unwrap_err();
    assert_eq!(error, StateError::Missing("encoder.layer3.0.bn2.weight".into()));
    assert_eq!(state::export(&network), before);
}

#[test]
fn a_deeper_encoder_than_this_program_has_is_refused() {
    // CIFAR ResNet-32 has every tensor of ResNet-20, and more.
    let mut file = state::export(&network(Preset::Cifar10, Arch::Resnet20, 1).1);
    let name = "encoder.layer1.3.conv1.weight".to_owned();
    file.push(NamedTensor { name: name.clone(), shape: vec![1], data: vec![0.0] });
    let mut network = network(Preset::Cifar10, Arch::Resnet20, 0).1;
    let error = of(&file).read_into(&mut network).unwrap_err();
    assert_eq!(error, StateError::Unknown(name));
}

#[test]
fn a_momentum_network_begins_as_a_copy_of_what_was_read() {
    let file =
        renamed(&state::export(&resnet8(1)), |name| name.starts_with(ENCODER).then(|| name.to_owned()));
    let of_momentum = TrainConfig::resolve(&Overrides {
        preset: Some(Preset::Cifar10),
        arch: Some(Arch::Resnet8),
        method: Some(Method::Byol),
        ..Overrides::default()
    });
    let mut network = of_momentum.unwrap().network(&Cpu::default(), 1, 1);
    of(&file).read_into(&mut network).unwrap();
    let own = state::export(&network);
    for theirs in file {
        for name in [theirs.name.clone(), format!("target.{}", theirs.name)] {
            let tensor = own.iter().find(|own| own.name == name).unwrap();
            assert_eq!(tensor.data, theirs.data, "{name}");
        }
    }
}

#[test]
fn an_architecture_is_known_by_its_names_and_shapes() {
    let arch_of = |preset, arch| of(&state::export(&network(preset, arch, 0).1)).arch;
    for arch in Arch::ALL {
        assert_eq!(arch_of(Preset::for_arch(*arch), *arch), *arch);
    }
    let nothing = ForeignWeights::parse(&tensor_file::encode(&[], None).unwrap()).err().unwrap();
    assert!(nothing.starts_with("holds no encoder that this program knows"), "{nothing}");
}

#[test]
fn the_first_layers_of_a_deeper_head_are_no_head() {
    let network = |layers| {
        let overrides = Overrides {
            preset: Some(Preset::Cifar10),
            arch: Some(Arch::Resnet8),
            projector_layers: Some(layers),
            ..Overrides::default()
        };
        TrainConfig::resolve(&overrides).unwrap().network(&Cpu::default(), 1, 1)
    };
    let deeper = of(&state::export(&network(3)));
    let taken = deeper.read_into(&mut network(2)).unwrap();
    assert_eq!(taken.heads, ["predictor"]);
    assert!(taken.left_out.contains(&"projector.6.weight".to_owned()), "{:?}", taken.left_out);
}
