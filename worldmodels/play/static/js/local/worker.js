// The dream off the page's own thread: so the page stays smooth whatever V and M need.
//
// From the page: the messages of /ws, as in play/messages.py. To the page: {status}, {event}, {frame} or {film}.

import { DreamScreen } from "./dream-screen.js";
import { request } from "./files.js";
import { Refusal } from "./moment.js";
import { openWorld } from "./world.js";

const BEHIND = 250; // milliseconds that the clock makes up for; beyond, it goes on from now

const asked = [];
let running = false; // whether a message or a step is at work
let screen = null;
let timer = null;
let due = 0;

self.onmessage = ({ data }) => {
  if (data.type === "ack") return; // nothing lies between the worker and the page that could jam
  asked.push(data);
  next();
};

/** One thing at a time: messages in their order, and a step when it is due. */
async function next() {
  if (running || screen === null) return;
  running = true;
  try {
    while (asked.length) await answer(asked.shift());
    if (screen.running && performance.now() >= due) await step();
  } catch (error) {
    self.postMessage({ status: "failed", detail: said(error) });
    return;
  }
  running = false;
  clearTimeout(timer);
  if (asked.length) next();
  else if (screen.running) timer = setTimeout(next, Math.max(0, due - performance.now()));
}

async function step() {
  await screen.advance();
  await show();
  due += 1000 / screen.model.hello.steps_per_second;
  if (performance.now() - due > BEHIND) due = performance.now();
}

async function answer(message) {
  const stood = !screen.running;
  try {
    const answer = await screen.handle(message);
    if (answer?.film) self.postMessage(answer);
    else if (answer) self.postMessage({ event: answer });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    self.postMessage({ event: { type: "error", message: error.message } });
  }
  if (!screen.running) await show(); // nothing else would
  else if (stood) due = performance.now();
}

async function show() {
  const frame = await screen.picture();
  self.postMessage({ frame }, frame.panes.map((pane) => pane.buffer));
}

const said = (error) => (error instanceof Error ? error.message : String(error));

/** The model's description with its starts, from the folder model/. */
async function readModel() {
  const [model, bank] = await Promise.all([
    request("model/model.json").then((response) => response.json()),
    request("model/starts.bin").then((response) => response.arrayBuffer()),
  ]);
  const { latent_size: latents } = model.hello;
  const count = model.start_counts[0] + model.start_counts[1];
  let at = 0;
  const rows = (size) =>
    Array.from({ length: count }, () => {
      at += size;
      return new Float32Array(bank, 4 * (at - size), size);
    });
  const starts = { mu: rows(latents), logvar: rows(latents), h: rows(model.hidden_size), c: rows(model.hidden_size) };
  return { ...model, starts };
}

async function main() {
  const wanted = new URL(self.location.href).searchParams.get("backend");
  const model = await readModel();
  const world = await openWorld(model, wanted, (share) =>
    self.postMessage({ status: "connecting", detail: `loading the dream, ${Math.round(100 * share)} %` }),
  );
  const stopping = () => asked.some(({ type }) => type === "restart" || type === "restore");
  screen = new DreamScreen(model, world, stopping);
  self.postMessage({ status: "open", detail: world.backend });
  self.postMessage({ event: model.hello });
  due = performance.now();
  await next();
}

main().catch((error) => self.postMessage({ status: "failed", detail: said(error) }));
