//! Writes an ONNX graph straight into ONNX Runtime, through its model editor: no file in between,
//! and the weights are copied once.

use ort::editor::{Graph, Model, Node, ONNX_DOMAIN, Opset};
use ort::memory::Allocator;
use ort::operator::Attribute;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::{Outlet, Shape, SymbolicDimensions, Tensor, TensorElementType, ValueType};

/// ONNX Runtime's own operators: fused attention.
pub(crate) const CONTRIB: &str = "com.microsoft";

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

    /// A constant of floats, in row-major order.
    pub(crate) fn floats(&mut self, shape: &[usize], data: &[f32]) -> ort::Result<String> {
        let name = self.next();
        let mut tensor = Tensor::<f32>::new(&Allocator::default(), dimensions(shape))?;
        tensor.extract_tensor_mut().1.copy_from_slice(data);
        self.graph.add_initializer(&name, tensor, data.len() * 4 > INLINE_BYTES)?;
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
    pub(crate) fn finish(mut self, options: &SessionBuilder) -> ort::Result<Session> {
        self.graph.set_inputs(self.inputs)?;
        self.graph.set_outputs(self.outputs)?;
        let mut model = Model::new([Opset::new(ONNX_DOMAIN, 20)?, Opset::new(CONTRIB, 1)?])?;
        model.set_graph(self.graph)?;
        model.into_session(options)
    }

    fn next(&mut self) -> String {
        self.made += 1;
        format!("v{}", self.made)
    }
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
