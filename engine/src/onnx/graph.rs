//! Writes an ONNX graph straight into ONNX Runtime, through its model editor: no file in between,
//! and the weights are copied once.

use ort::editor::{Graph, Model, Node, ONNX_DOMAIN, Opset};
use ort::memory::Allocator;
use ort::operator::{Attribute, OperatorDomain};
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::{Outlet, Shape, SymbolicDimensions, Tensor, TensorElementType, ValueType};

/// ONNX Runtime's own operators: fused attention.
pub(crate) const CONTRIB: &str = "com.microsoft";
/// Operators of ours, which a session's options must bring.
pub(crate) const OWN: &str = "rushes";

/// Constants this small are stored in the graph itself, where shape inference sees them.
const INLINE_BYTES: usize = 1024;

/// A dimension of an input or output.
#[derive(Clone, Copy)]
pub(crate) enum Dim {
    /// Known now.
    Fixed(usize),
    /// Known at each run; equal names are equal sizes.
    Named(&'static str),
}

/// A graph in the making. Values are named; every operator gives the name of what it makes.
pub(crate) struct GraphBuilder {
    graph: Graph,
    inputs: Vec<Outlet>,
    outputs: Vec<Outlet>,
    made: usize,
}

impl GraphBuilder {
    pub(crate) fn new() -> ort::Result<Self> {
        Ok(Self { graph: Graph::new()?, inputs: Vec::new(), outputs: Vec::new(), made: 0 })
    }

    /// Declares an input.
    pub(crate) fn input(&mut self, name: &str, ty: TensorElementType, dims: &[Dim]) {
        self.inputs.push(outlet(name, ty, dims));
    }

    /// Gives `value` out under `name`, as 32-bit floats.
    pub(crate) fn output(&mut self, value: &str, name: &str, dims: &[Dim]) -> ort::Result<()> {
        self.outputs.push(outlet(name, TensorElementType::Float32, dims));
        let node = Node::new("Identity", ONNX_DOMAIN, name, [value], [name], [])?;
        self.graph.add_node(node)
    }

    /// Gives `value` out under `name`, in half precision.
    pub(crate) fn output_halves(
        &mut self,
        value: &str,
        name: &str,
        dims: &[Dim],
    ) -> ort::Result<()> {
        self.outputs.push(outlet(name, TensorElementType::Float16, dims));
        // `TensorProto.DataType.FLOAT16`.
        let to = [Attribute::new("to", 10_i64)?];
        self.graph.add_node(Node::new("Cast", ONNX_DOMAIN, name, [value], [name], to)?)
    }

    /// `value`, which is in half precision, as floats.
    pub(crate) fn floats_of(&mut self, value: &str) -> ort::Result<String> {
        // `TensorProto.DataType.FLOAT`.
        let to = [Attribute::new("to", 1_i64)?];
        self.op(ONNX_DOMAIN, "Cast", &[value], to)
    }

    /// A constant of floats, in row-major order.
    pub(crate) fn floats(&mut self, shape: &[usize], data: &[f32]) -> ort::Result<String> {
        let name = self.next();
        let mut tensor = Tensor::<f32>::new(&Allocator::default(), dimensions(shape))?;
        tensor.extract_tensor_mut().1.copy_from_slice(data);
        self.graph.add_initializer(&name, tensor, data.len() * 4 > INLINE_BYTES)?;
        Ok(name)
    }

    /// A constant of signed bytes, in row-major order.
    pub(crate) fn signed_bytes(&mut self, shape: &[usize], data: &[i8]) -> ort::Result<String> {
        let name = self.next();
        let mut tensor = Tensor::<i8>::new(&Allocator::default(), dimensions(shape))?;
        tensor.extract_tensor_mut().1.copy_from_slice(data);
        self.graph.add_initializer(&name, tensor, data.len() > INLINE_BYTES)?;
        Ok(name)
    }

    /// A one-dimensional constant of integers.
    pub(crate) fn integers(&mut self, data: &[i64]) -> ort::Result<String> {
        let name = self.next();
        let mut tensor = Tensor::<i64>::new(&Allocator::default(), dimensions(&[data.len()]))?;
        tensor.extract_tensor_mut().1.copy_from_slice(data);
        self.graph.add_initializer(&name, tensor, data.len() * 8 > INLINE_BYTES)?;
        Ok(name)
    }

    /// An operator with one result.
    pub(crate) fn op(
        &mut self,
        domain: &str,
        kind: &str,
        inputs: &[&str],
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> ort::Result<String> {
        let mut made = self.op_many(domain, kind, inputs, 1, attributes)?;
        Ok(made.pop().unwrap_or_default())
    }

    /// An operator with `count` results.
    pub(crate) fn op_many(
        &mut self,
        domain: &str,
        kind: &str,
        inputs: &[&str],
        count: usize,
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> ort::Result<Vec<String>> {
        let outputs: Vec<String> = (0..count).map(|_| self.next()).collect();
        let name = format!("{kind}_{}", self.made);
        self.graph.add_node(Node::new(kind, domain, name, inputs, &outputs, attributes)?)?;
        Ok(outputs)
    }

    /// A standard operator without attributes.
    pub(crate) fn plain(&mut self, kind: &str, inputs: &[&str]) -> ort::Result<String> {
        self.op(ONNX_DOMAIN, kind, inputs, [])
    }

    /// Ends the graph and makes it ready to run.
    pub(crate) fn finish(self, options: &SessionBuilder) -> ort::Result<Session> {
        self.into_model()?.into_session(options)
    }

    /// As [`GraphBuilder::finish`], with `operators` of ours, of the domain [`OWN`]. Such a session
    /// does not know its inputs and outputs: what is wanted of it has to be named when it is run.
    pub(crate) fn finish_with(
        self,
        options: &SessionBuilder,
        operators: OperatorDomain,
    ) -> ort::Result<Session> {
        // ONNX Runtime forgets the operators of a session's options where a session is made from a
        // model in memory, but not where one is edited: so an empty one is edited.
        let mut options = options.clone().with_operators(operators)?;
        let mut session = options.edit_from_memory(&empty_model())?;
        session.apply_model(&self.into_model()?)?;
        session.into_session()
    }

    fn into_model(mut self) -> ort::Result<Model> {
        self.graph.set_inputs(self.inputs)?;
        self.graph.set_outputs(self.outputs)?;
        let opsets = OPSETS.iter().map(|&(domain, version)| Opset::new(domain, version.into()));
        let mut model = Model::new(opsets.collect::<ort::Result<Vec<_>>>()?)?;
        model.set_graph(self.graph)?;
        Ok(model)
    }

    fn next(&mut self) -> String {
        self.made += 1;
        format!("v{}", self.made)
    }
}

/// The domains that graphs are written in, with the version of each.
const OPSETS: [(&str, u8); 3] = [(ONNX_DOMAIN, 20), (CONTRIB, 1), (OWN, 1)];

/// The bytes of an ONNX model (`ModelProto`) with an empty graph.
fn empty_model() -> Vec<u8> {
    const VERSION: u8 = 8;
    let number = |field: u8, value: u8| [field << 3, value];
    let bytes = |field: u8, bytes: &[u8]| {
        // All that is written here is shorter than 128.
        [&[field << 3 | 2, bytes.len() as u8], bytes].concat()
    };
    let mut model = number(1, VERSION).to_vec();
    model.extend(bytes(7, &bytes(2, b"graph")));
    for (domain, version) in OPSETS {
        model
            .extend(bytes(8, &[bytes(1, domain.as_bytes()), number(2, version).to_vec()].concat()));
    }
    model
}

fn dimensions(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&n| n as i64).collect()
}

fn outlet(name: &str, ty: TensorElementType, dims: &[Dim]) -> Outlet {
    let sizes = dims.iter().map(|dim| match dim {
        Dim::Fixed(size) => *size as i64,
        Dim::Named(_) => -1,
    });
    let symbols = dims.iter().map(|dim| match dim {
        Dim::Fixed(_) => String::new(),
        Dim::Named(name) => (*name).to_owned(),
    });
    Outlet::new(
        name,
        ValueType::Tensor {
            ty,
            shape: sizes.collect::<Shape>(),
            dimension_symbols: symbols.collect::<SymbolicDimensions>(),
        },
    )
}
