// An animated GIF (version 89a): one palette, each picture enlarged and packed by LZW.

import { paletteOf } from "./palette.js";

const SIDE = 64; // of a picture that comes in, in pixels
const SCALE = 3; // pixels a side that one becomes
const CLEAR = 256; // LZW's codes beyond the 256 colours
const END = 257;
const TABLE = 1 << 13; // places of the hash table; there are at most 4096 codes

/** Bytes that grow. */
class Output {
  constructor() {
    this.bytes = new Uint8Array(1 << 20);
    this.size = 0;
  }

  room(count) {
    if (this.size + count <= this.bytes.length) return;
    const larger = new Uint8Array(2 * (this.size + count));
    larger.set(this.bytes.subarray(0, this.size));
    this.bytes = larger;
  }

  add(...numbers) {
    this.room(numbers.length);
    for (const number of numbers) this.bytes[this.size++] = number;
  }

  short(number) {
    this.add(number & 255, number >> 8);
  }

  all(bytes) {
    this.room(bytes.length);
    this.bytes.set(bytes, this.size);
    this.size += bytes.length;
  }
}

/** The film as the bytes of a GIF: pictures of 64 * 64 * 3 bytes, `rate` of them a second, over and over. */
export function encodeGif(pictures, rate) {
  const { palette, place } = paletteOf(pictures);
  const side = SIDE * SCALE;
  const out = new Output();
  out.all(new TextEncoder().encode("GIF89a"));
  out.short(side);
  out.short(side);
  out.add(0xf7, 0, 0); // a palette of 256 colours, 8 bits each
  out.all(palette);
  out.all([0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0]); // for ever
  const pixels = new Uint8Array(side * side);
  const packer = new Packer(out);
  for (const picture of pictures) {
    enlarge(picture, place, pixels);
    out.add(0x21, 0xf9, 4, 4); // the next picture covers this one
    out.short(Math.max(2, Math.round(100 / rate))); // hundredths of a second; browsers slow down anything below 2
    out.add(0, 0, 0x2c, 0, 0, 0, 0);
    out.short(side);
    out.short(side);
    out.add(0);
    packer.pack(pixels);
  }
  out.add(0x3b);
  return out.bytes.slice(0, out.size);
}

/** RGB bytes to places in the palette, each pixel SCALE by SCALE. */
function enlarge(picture, place, pixels) {
  const side = SIDE * SCALE;
  for (let row = 0, i = 0; row < SIDE; row++) {
    const start = row * SCALE * side;
    for (let column = 0; column < SIDE; column++, i += 3) {
      const colour = place(picture[i], picture[i + 1], picture[i + 2]);
      pixels.fill(colour, start + column * SCALE, start + (column + 1) * SCALE);
    }
    for (let copy = 1; copy < SCALE; copy++) pixels.copyWithin(start + copy * side, start, start + side);
  }
}

/** GIF's LZW: codes of 9 to 12 bits, in blocks of at most 255 bytes. */
class Packer {
  constructor(out) {
    this.out = out;
    this.keys = new Int32Array(TABLE); // (code of the beginning * 256 + colour) + 1; 0 is an empty place
    this.codes = new Uint16Array(TABLE);
    this.block = new Uint8Array(255);
  }

  pack(pixels) {
    this.filled = 0;
    this.bits = 0;
    this.waiting = 0; // number of bits in `bits`
    this.width = 9; // bits of a code
    this.out.add(8);
    this.clear();
    let code = pixels[0];
    for (let i = 1; i < pixels.length; i++) {
      const key = code * 256 + pixels[i] + 1;
      let at = Math.imul(key, 0x9e3779b1) >>> 19; // 13 bits
      while (this.keys[at] !== 0 && this.keys[at] !== key) at = (at + 1) % TABLE;
      if (this.keys[at] === key) {
        code = this.codes[at];
        continue;
      }
      this.write(code);
      code = pixels[i];
      if (this.next === 4096) {
        this.clear();
        continue;
      }
      this.keys[at] = key;
      this.codes[at] = this.next++;
      if (this.next - 1 === 1 << this.width) this.width++; // the reader's table is one code behind
    }
    this.write(code);
    this.write(END);
    if (this.waiting) this.byte(this.bits & 255);
    this.flush();
    this.out.add(0);
  }

  clear() {
    this.write(CLEAR);
    this.keys.fill(0);
    this.next = END + 1;
    this.width = 9;
  }

  write(code) {
    this.bits |= code << this.waiting;
    this.waiting += this.width;
    while (this.waiting >= 8) {
      this.byte(this.bits & 255);
      this.bits >>>= 8;
      this.waiting -= 8;
    }
  }

  byte(value) {
    this.block[this.filled++] = value;
    if (this.filled === 255) this.flush();
  }

  flush() {
    if (!this.filled) return;
    this.out.add(this.filled);
    this.out.all(this.block.subarray(0, this.filled));
    this.filled = 0;
  }
}
