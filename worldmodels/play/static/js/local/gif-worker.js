// Makes a GIF of pictures and sends its bytes back.

import { encodeGif } from "./gif.js";

self.onmessage = ({ data: { pictures, rate } }) => {
  const bytes = encodeGif(pictures, rate);
  self.postMessage(bytes, [bytes.buffer]);
};
