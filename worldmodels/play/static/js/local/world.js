// V and M run by onnxruntime-web: on the GPU where there is one that is quick enough, as WebAssembly otherwise.
//
// Only V goes to the GPU. M is a fiftieth of the work, waiting for the GPU would cost more than computing it, and its
// WebAssembly rounds alike on every machine, so that a link restores the same dream everywhere.

import { addressOf, loader } from "./files.js";

const QUICK = 12; // milliseconds for a picture: a GPU that needs longer is slower than the processor
const PATIENCE = 300; // milliseconds to find that out
const VISION = "model/vision.onnx";
const MEMORY = "model/memory.onnx";

/**
 * Opens the world of the model in the folder model/.
 * @param model what model.json holds
 * @param wanted "webgpu", "wasm", or null for the better one
 * @param progress called with the share of the files that has arrived, 0 to 1
 */
export async function openWorld(model, wanted, progress) {
  const gpu = wanted === "webgpu" || (wanted === null && (await usableGpu()));
  const load = loader(model.files, [VISION, MEMORY, binary(gpu)], progress);
  const graphs = Promise.all([load(VISION), load(MEMORY)]);
  if (gpu) {
    try {
      return await World.open(model, await runtime("webgpu", load), await graphs, wanted);
    } catch (error) {
      console.warn("no WebGPU, going on without:", error);
    }
  }
  const ort = await runtime("wasm", load);
  return World.open(model, ort, await graphs, "wasm");
}

class World {
  static async open(model, ort, [vision, memory], wanted) {
    const ticker = await session(ort, memory, "wasm");
    const onProcessor = () => session(ort, vision, "wasm");
    if (wanted === "wasm") return new World(model, ort, ticker, await onProcessor(), "wasm", onProcessor);
    const world = new World(model, ort, ticker, await session(ort, vision, "webgpu"), "webgpu", onProcessor);
    if (wanted === null && (await world.slow())) await world.leaveGpu();
    return world;
  }

  constructor(model, ort, ticker, painter, backend, onProcessor) {
    Object.assign(this, { ort, ticker, painter, backend, onProcessor });
    this.latents = model.hello.latent_size;
  }

  tensor(numbers) {
    return new this.ort.Tensor("float32", numbers, [1, numbers.length]);
  }

  /** One tick of M: state {z, h, c}, action in the game's units, uniform numbers (Z), temperature. */
  async tick({ z, h, c }, action, uniform, temperature) {
    const after = await this.ticker.run({
      z: this.tensor(z),
      action: this.tensor(action),
      h: this.tensor(h),
      c: this.tensor(c),
      uniform: this.tensor(uniform),
      temperature: this.tensor(Float32Array.of(temperature)),
    });
    return {
      z: after.next_z.data,
      h: after.next_h.data,
      c: after.next_c.data,
      reward: after.reward.data[0],
      endLogit: after.end_logit.data[0],
      mixture: { logPi: after.log_pi.data, mu: after.mu.data, logSigma: after.log_sigma.data },
    };
  }

  /** V's picture of a latent: 64 * 64 * 3 bytes. */
  async paint(z) {
    try {
      return await this.look(z);
    } catch (error) {
      if (this.backend !== "webgpu") throw error;
      await this.leaveGpu(); // it was lost: taken by the system, or by a driver's update
      return this.look(z);
    }
  }

  async look(z) {
    return (await this.painter.run({ z: this.tensor(z) })).pixels.data;
  }

  async leaveGpu() {
    this.painter = await this.onProcessor();
    this.backend = "wasm";
  }

  /** Whether the GPU needs too long for a picture. */
  async slow() {
    const z = new Float32Array(this.latents);
    await this.look(z); // the first picture is spent on its programs
    const began = performance.now();
    let best = Infinity;
    while (best > QUICK && performance.now() - began < PATIENCE) {
      const before = performance.now();
      await this.look(z);
      best = Math.min(best, performance.now() - before);
    }
    return best > QUICK;
  }
}

/** Whether this browser lends a GPU, and not an imitation of one. */
async function usableGpu() {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
  } catch {
    return false;
  }
}

const binary = (gpu) => `ort/${gpu ? "webgpu" : "wasm"}/binary.wasm.gz.bin`;

/** One of the two builds of onnxruntime-web. */
async function runtime(build, load) {
  const ort = await import(addressOf(`ort/${build}/ort.js`));
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1; // more need headers that static hosts do not send
  ort.env.wasm.wasmPaths = { mjs: addressOf(`ort/${build}/glue.js`) };
  const packed = new Blob([await load(binary(build === "webgpu"))]).stream();
  const plain = packed.pipeThrough(new DecompressionStream("gzip"));
  ort.env.wasm.wasmBinary = await new Response(plain).arrayBuffer();
  return ort;
}

const session = (ort, graph, provider) =>
  ort.InferenceSession.create(graph, { executionProviders: [provider], logSeverityLevel: 3 });
