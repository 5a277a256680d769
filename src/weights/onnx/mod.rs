//! An encoder as an ONNX graph: `images`, batch x 3 x size x size and normalised, to `features`, batch x features.
//!
//! The graph is the residual network that the tensors' names and shapes describe, in evaluation mode; initialisers keep
//! torchvision's names. How images are normalised stands in the model's metadata.

mod proto;

use prost::Message;
use simsiam_model::state::NamedTensor;

use self::proto::{
    AttributeProto, FLOAT, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, ValueInfoProto,
};
use super::EncoderWeights;

/// Operator set 13 and its format: what every runtime since 2020 reads.
const OPSET: i64 = 13;
const IR_VERSION: i64 = 7;
/// PyTorch's default, which `simsiam-model` uses throughout.
const BATCH_NORM_EPSILON: f32 = 1e-5;

/// The bytes of the file.
pub fn encode(encoder: &EncoderWeights) -> Vec<u8> {
    let mut graph = GraphBuilder { tensors: &encoder.tensors, nodes: Vec::new() };
    let features = graph.encoder();
    let GraphBuilder { nodes, .. } = graph;
    let metadata = encoder.metadata.iter().cloned();
    let model = ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        producer_name: "simsiam".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(GraphProto {
            node: nodes,
            name: encoder.arch.to_string(),
            initializer: encoder.tensors.iter().map(initializer).collect(),
            input: vec![ValueInfoProto::batch_of("images", &[3, encoder.size, encoder.size])],
            output: vec![ValueInfoProto::batch_of("features", &[features])],
        }),
        metadata_props: metadata.map(|(key, value)| StringStringEntryProto { key, value }).collect(),
    };
    model.encode_to_vec()
}

fn initializer(tensor: &NamedTensor) -> TensorProto {
    TensorProto {
        dims: tensor.shape.iter().map(|size| *size as i64).collect(),
        data_type: FLOAT,
        name: tensor.name.clone(),
        raw_data: tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

/// Adds nodes; an edge is named by the node that it comes from.
struct GraphBuilder<'a> {
    tensors: &'a [NamedTensor],
    nodes: Vec<NodeProto>,
}

impl GraphBuilder<'_> {
    /// The whole network; how many features it gives.
    fn encoder(&mut self) -> usize {
        let stem = self.shape("conv1.weight").expect("every encoder has a stem").to_vec();
        // torchvision's stem halves the size and pools; that for small images does neither.
        let photographs = stem[2] == 7;
        let (mut x, mut features) = ("images".to_owned(), stem[0]);
        x = self.conv_bn(&x, "conv1", "bn1", if photographs { 2 } else { 1 });
        x = self.node("Relu", "relu", &[&x], vec![]);
        if photographs {
            x = self.node("MaxPool", "maxpool", &[&x], window(3, 2, 1));
        }
        for layer in 1.. {
            for block in 0.. {
                let name = format!("layer{layer}.{block}");
                if self.shape(&format!("{name}.conv1.weight")).is_none() {
                    break;
                }
                x = self.block(&x, &name, if layer > 1 && block == 0 { 2 } else { 1 }, &mut features);
            }
            if self.shape(&format!("layer{layer}.0.conv1.weight")).is_none() {
                break;
            }
        }
        x = self.node("GlobalAveragePool", "avgpool", &[&x], vec![]);
        self.nodes.push(node("Flatten", "flatten", &[&x], "features", vec![]));
        features
    }

    /// A residual block of two or three convolutions; of three, the second has the stride. Sets `features` to its channels.
    fn block(&mut self, input: &str, name: &str, stride: usize, features: &mut usize) -> String {
        let convolutions =
            (1..).take_while(|n| self.shape(&format!("{name}.conv{n}.weight")).is_some()).count();
        let strided = convolutions - 1;
        let mut x = input.to_owned();
        for n in 1..=convolutions {
            let stride = if n == strided { stride } else { 1 };
            let conv = format!("{name}.conv{n}");
            x = self.conv_bn(&x, &conv, &format!("{name}.bn{n}"), stride);
            if n < convolutions {
                x = self.node("Relu", &format!("{name}.relu{n}"), &[&x], vec![]);
            }
            *features = self.shape(&format!("{conv}.weight")).expect("it was counted")[0];
        }
        let shortcut = format!("{name}.downsample.0");
        let shortcut = if self.shape(&format!("{shortcut}.weight")).is_some() {
            self.conv_bn(input, &shortcut, &format!("{name}.downsample.1"), stride)
        } else {
            input.to_owned()
        };
        x = self.node("Add", &format!("{name}.add"), &[&x, &shortcut], vec![]);
        self.node("Relu", &format!("{name}.relu"), &[&x], vec![])
    }

    fn conv_bn(&mut self, x: &str, conv: &str, bn: &str, stride: usize) -> String {
        let weight = format!("{conv}.weight");
        let kernel = self.shape(&weight).expect("the block has it")[2];
        let x = self.node("Conv", conv, &[x, &weight], window(kernel, stride, kernel / 2));
        let [scale, shift, mean, variance] =
            ["weight", "bias", "running_mean", "running_var"].map(|part| format!("{bn}.{part}"));
        let epsilon = vec![AttributeProto::float("epsilon", BATCH_NORM_EPSILON)];
        self.node("BatchNormalization", bn, &[&x, &scale, &shift, &mean, &variance], epsilon)
    }

    fn node(&mut self, op_type: &str, name: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        self.nodes.push(node(op_type, name, inputs, name, attribute));
        name.to_owned()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.shape.as_slice())
    }
}

fn node(
    op_type: &str,
    name: &str,
    inputs: &[&str],
    output: &str,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        name: name.to_owned(),
        op_type: op_type.to_owned(),
        attribute,
    }
}

/// Attributes of a square window.
fn window(kernel: usize, stride: usize, pad: usize) -> Vec<AttributeProto> {
    vec![
        AttributeProto::ints("kernel_shape", &[kernel; 2]),
        AttributeProto::ints("strides", &[stride; 2]),
        AttributeProto::ints("pads", &[pad; 4]),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Preset;
    use crate::weights::tests::network;
    use simsiam_model::arch::Arch;

    fn graph(preset: Preset, arch: Arch) -> GraphProto {
        let (config, network) = network(preset, arch, 0);
        let bytes = encode(&EncoderWeights::new(&config, &network, "untrained"));
        ModelProto::decode(bytes.as_slice()).unwrap().graph.unwrap()
    }

    fn count(graph: &GraphProto, op_type: &str) -> usize {
        graph.node.iter().filter(|node| node.op_type == op_type).count()
    }

    /// The names of the strided convolutions.
    fn strided(graph: &GraphProto) -> Vec<&str> {
        let strides =
            |node: &NodeProto| node.attribute.iter().any(|a| a.name == "strides" && a.ints == [2, 2]);
        let convolutions = graph.node.iter().filter(|node| node.op_type == "Conv" && strides(node));
        convolutions.map(|node| node.name.as_str()).collect()
    }

    /// Every input is an initialiser or comes from a node before, and every initialiser is used.
    fn check_wiring(graph: &GraphProto) {
        let mut known: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        let mut unused = known.clone();
        known.insert("images");
        for node in &graph.node {
            for input in &node.input {
                assert!(known.contains(input.as_str()), "{} reads {input}, which nothing writes", node.name);
                unused.remove(input.as_str());
            }
            assert!(known.insert(&node.output[0]), "{} is written twice", node.output[0]);
        }
        assert!(unused.is_empty(), "{unused:?}");
        assert!(known.contains("features"));
    }

    #[test]
    fn a_graph_of_basic_blocks_is_wired_like_the_network() {
        let graph = graph(Preset::Cifar10, Arch::Resnet8);
        check_wiring(&graph);
        assert_eq!((count(&graph, "Conv"), count(&graph, "Add"), count(&graph, "MaxPool")), (9, 3, 0));
        assert_eq!(
            strided(&graph),
            ["layer2.0.conv1", "layer2.0.downsample.0", "layer3.0.conv1", "layer3.0.downsample.0"]
        );
        assert_eq!(graph.output[0], ValueInfoProto::batch_of("features", &[64]));
    }

    #[test]
    fn a_graph_of_bottlenecks_is_wired_like_the_network() {
        let graph = graph(Preset::Imagenet, Arch::Resnet50);
        check_wiring(&graph);
        assert_eq!((count(&graph, "Conv"), count(&graph, "Add"), count(&graph, "MaxPool")), (53, 16, 1));
        let expected = ["conv1", "layer2.0.conv2", "layer2.0.downsample.0", "layer3.0.conv2"];
        assert_eq!(strided(&graph)[..4], expected);
        assert_eq!(graph.input[0], ValueInfoProto::batch_of("images", &[3, 224, 224]));
        assert_eq!(graph.output[0], ValueInfoProto::batch_of("features", &[2048]));
    }
}
