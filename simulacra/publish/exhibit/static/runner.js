// ONNX Runtime with the graphs of the model: WebAssembly, one thread. It runs in a worker, or in the page itself.
import { InferenceSession, Tensor, env } from "./ort.js";

const sessions = {};

// Files as ArrayBuffers: wasm, synthesis, and mapping or null.
export async function load({ wasm, ...graphs }) {
  Object.assign(env.wasm, { numThreads: 1, wasmBinary: wasm });
  env.logLevel = "error";
  for (const [name, graph] of Object.entries(graphs)) {
    if (graph) sessions[name] = await InferenceSession.create(new Uint8Array(graph), { executionProviders: ["wasm"] });
  }
}

// The output of a graph for inputs {name: {data, dims}}.
export async function run(name, inputs) {
  const session = sessions[name];
  const feeds = Object.entries(inputs).map(([input, { data, dims }]) => [input, new Tensor("float32", data, dims)]);
  return (await session.run(Object.fromEntries(feeds)))[session.outputNames[0]].data;
}
