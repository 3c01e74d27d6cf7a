// The engine on the other end of a WebSocket. A lost connection is taken up again, with the same session where it still stands.

const PANE = 64 * 64 * 3; // bytes of a picture
const WAITS = [0.25, 0.5, 1, 2, 4, 8]; // seconds before each further try
const BUSY_WAIT = 10;
const TRY_AGAIN_LATER = 1013;
const TAKEN_OVER = 4001; // another page goes on with this session

export function connect() {
  return new SocketEngine();
}

class SocketEngine {
  onhello = () => {};
  onframe = () => {};
  onevent = () => {};
  onstatus = () => {};

  #socket = null;
  #session = null;
  #tries = 0;
  #waiting = 0;
  #busy = false;

  start() {
    addEventListener("online", () => this.#socket === null && this.#open());
    this.#open();
  }

  /** False where there was nobody to send it to. */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #open() {
    clearTimeout(this.#waiting);
    const url = new URL("ws", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    url.hash = "";
    url.search = this.#session ? new URLSearchParams({ session: this.#session }).toString() : "";
    if (this.#tries === 0) this.onstatus("connecting", "");
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.#hear(JSON.parse(data)) : this.#see(data));
    socket.onclose = (event) => this.#closed(event);
    this.#socket = socket;
  }

  #hear(message) {
    if (message.type === "hello") {
      this.#session = message.session;
      this.#tries = 0;
      this.#busy = false;
      this.onstatus("open", "");
      this.onhello(message);
    } else if (message.type === "busy") {
      this.#busy = true;
    } else {
      this.onevent(message);
    }
  }

  /** uint32 little endian: length of the header; the header; the panes, one after another. */
  #see(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const panes = header.panes.map((_, index) => new Uint8Array(buffer, 4 + length + index * PANE, PANE));
    this.onframe(header, panes);
  }

  #closed({ code, reason }) {
    this.#socket = null;
    if (code === TAKEN_OVER) {
      this.onstatus("failed", "this dream goes on in another page; reload for one of your own");
      return;
    }
    const busy = this.#busy || code === TRY_AGAIN_LATER;
    this.#busy = false;
    const wait = busy ? BUSY_WAIT : WAITS[Math.min(this.#tries, WAITS.length - 1)];
    this.#tries += 1;
    if (busy) this.onstatus("busy", "all seats are taken; trying again every 10 s");
    else this.onstatus("lost", reason ? `connection closed: ${reason}; trying again` : "connection lost; trying again");
    this.#waiting = setTimeout(() => this.#open(), wait * 1000);
  }
}
