// The files of the exported folder, wherever it is served.

const ROOT = new URL("../../../", import.meta.url);

/** The address of a file, by its path in the folder. */
export const addressOf = (path) => new URL(path, ROOT).href;

/** The answer of the server to a request for it. */
export async function request(path) {
  const response = await fetch(addressOf(path));
  if (!response.ok) throw new Error(`${path} is missing: the server says ${response.status}`);
  return response;
}

/**
 * A function that fetches files as bytes.
 * @param sizes bytes of each file, by its path
 * @param expected paths of the files that will be fetched
 * @param progress called with the share of them that has arrived, 0 to 1
 */
export function loader(sizes, expected, progress) {
  const total = expected.reduce((sum, path) => sum + sizes[path], 0);
  let arrived = 0;
  return async (path) => {
    const reader = (await request(path)).body.getReader();
    const bytes = new Uint8Array(sizes[path]);
    let at = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > bytes.length) throw new Error(`${path} is larger than when this page was made`);
      bytes.set(value, at);
      at += value.length;
      arrived += value.length;
      progress(Math.min(1, arrived / total));
    }
    if (at < bytes.length) throw new Error(`${path} is smaller than when this page was made`);
    return bytes;
  };
}
