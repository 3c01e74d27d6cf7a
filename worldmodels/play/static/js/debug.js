// What a test in a browser wants to know of the page.

const MOST = 1000; // latencies that are kept

const pending = []; // {input, time} of keys that no drawn frame has answered yet

export const debug = { framesReceived: 0, framesDrawn: 0, lastHeader: null, keyLatencies: [], status: "connecting" };
window.worldmodelsDebug = debug;

/** A key went down at `time` (ms, performance.now's clock), and was sent as this input. */
export function keySent(input, time) {
  pending.push({ input, time });
  if (pending.length > MOST) pending.shift();
}

export function frameDrawn(header) {
  debug.framesDrawn += 1;
  debug.lastHeader = header;
  const now = performance.now();
  while (pending.length > 0 && header.input >= pending[0].input) {
    debug.keyLatencies.push(now - pending.shift().time);
    if (debug.keyLatencies.length > MOST) debug.keyLatencies.shift();
  }
}
