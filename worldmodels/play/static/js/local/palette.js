// 256 colours for a film, by median cut: the box of colours with the widest side is halved, again and again.

const BITS = 5; // of each of red, green and blue that colours are told apart by
const COLOURS = 256;
const FROM = 48; // pictures that are looked at, spread over the film

const bin = (r, g, b) => ((r >> 3) << (2 * BITS)) | ((g >> 3) << BITS) | (b >> 3);
const side = (colour, axis) => (colour >> (BITS * (2 - axis))) & 31;

/** A palette of 256 * 3 bytes for pictures of RGB bytes, and the function that finds a colour's place in it. */
export function paletteOf(pictures) {
  const counts = new Map(); // of pixels, by bin
  const stride = Math.max(1, Math.floor(pictures.length / FROM));
  for (let p = 0; p < pictures.length; p += stride) {
    const picture = pictures[p];
    for (let i = 0; i < picture.length; i += 3) {
      const colour = bin(picture[i], picture[i + 1], picture[i + 2]);
      counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
  }
  const boxes = halved([...counts.keys()], counts);
  const palette = new Uint8Array(COLOURS * 3);
  boxes.forEach(({ colours }, index) => {
    const total = colours.reduce((sum, colour) => sum + counts.get(colour), 0);
    for (let axis = 0; axis < 3; axis++) {
      const sum = colours.reduce((all, colour) => all + side(colour, axis) * counts.get(colour), 0);
      palette[3 * index + axis] = Math.round((255 / 31) * (sum / total));
    }
  });
  return { palette, place: finder(palette, boxes.length) };
}

function halved(all, counts) {
  const boxes = [measured(all)];
  while (boxes.length < COLOURS) {
    boxes.sort((a, b) => b.width - a.width);
    if (boxes[0].width === 0) break; // one colour each
    const { colours, axis } = boxes.shift();
    colours.sort((a, b) => side(a, axis) - side(b, axis));
    const half = colours.reduce((sum, colour) => sum + counts.get(colour), 0) / 2;
    let cut = 0;
    let before = 0;
    while (cut < colours.length - 1 && before + counts.get(colours[cut]) <= half) before += counts.get(colours[cut++]);
    cut = Math.max(1, cut);
    boxes.push(measured(colours.slice(0, cut)), measured(colours.slice(cut)));
  }
  return boxes;
}

/** A box with its widest side. */
function measured(colours) {
  let axis = 0;
  let width = -1;
  for (let candidate = 0; candidate < 3; candidate++) {
    let low = 31;
    let high = 0;
    for (const colour of colours) {
      low = Math.min(low, side(colour, candidate));
      high = Math.max(high, side(colour, candidate));
    }
    if (high - low > width) [axis, width] = [candidate, high - low];
  }
  return { colours, axis, width };
}

function finder(palette, size) {
  const known = new Int16Array(1 << (3 * BITS)).fill(-1);
  return (r, g, b) => {
    const colour = bin(r, g, b);
    if (known[colour] < 0) {
      let best = Infinity;
      for (let i = 0; i < size; i++) {
        const distance =
          (palette[3 * i] - r) ** 2 + (palette[3 * i + 1] - g) ** 2 + (palette[3 * i + 2] - b) ** 2;
        if (distance < best) [best, known[colour]] = [distance, i];
      }
    }
    return known[colour];
  };
}
