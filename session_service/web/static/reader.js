// Reads QR codes from pictures: by the browser's own detector where it has one, else by zxing-wasm, which we serve.
// The scanner's page and the test of hard pictures read with this very module.

export const SIDE_MAX_PX = 960; // of a picture that is looked at: a label at arm's length has five pixels a module
const ENLARGED_MAX_PX = 1280; // what takes a cheap phone a fifth of a second

const OPTIONS = { formats: ["QRCode"], tryInvert: false, maxNumberOfSymbols: 4, textMode: "Plain" };

// What mends which fault, in the order that was measured on hard pictures: each reads most of what those before it left.
// Frames of a film take turns at these, a single picture gets them all.
const ATTEMPTS = [
  { binarizer: "LocalAverage" },
  { binarizer: "LocalAverage", enlarge: true, blur: 2 },
  { binarizer: "GlobalHistogram", blur: 1 },
  { binarizer: "LocalAverage", turn: Math.PI / 6, blur: 1 },
  { binarizer: "LocalAverage", enlarge: true, blur: 1 },
  { binarizer: "LocalAverage", blur: 1, tryDenoise: true },
];

/** Return a reader: `read(source, nth)` tries once, `readAll(source)` everything. Both give the texts they find. */
export async function reader({ script, wasm }) {
  const own = await ownDetector();
  if (own) {
    const read = async (source) => (await own.detect(source)).map((code) => code.rawValue);
    return { read, readAll: read, name: "BarcodeDetector" };
  }
  return zxing({ script, wasm });
}

async function ownDetector() {
  if (!("BarcodeDetector" in globalThis)) return null;
  try {
    const formats = await BarcodeDetector.getSupportedFormats();
    return formats.includes("qr_code") ? new BarcodeDetector({ formats: ["qr_code"] }) : null;
  } catch {
    return null;
  }
}

/** Return the reader that zxing-wasm makes. Its program comes from `wasm`; by itself it would ask a public CDN. */
export async function zxing({ script, wasm }) {
  await load(script);
  const parts = { overrides: { locateFile: () => wasm }, fireImmediately: true };
  await ZXingWASM.prepareZXingModule(parts);
  const canvas = document.createElement("canvas");
  async function read(source, nth = 0) {
    const attempt = ATTEMPTS[nth % ATTEMPTS.length];
    const { binarizer, tryDenoise = false } = attempt;
    const found = await ZXingWASM.readBarcodes(pixels(source, canvas, attempt), { ...OPTIONS, binarizer, tryDenoise });
    return found.filter((code) => code.isValid).map((code) => code.text);
  }
  async function readAll(source, good = () => true) {
    for (let nth = 0; nth < ATTEMPTS.length; nth += 1) {
      const texts = await read(source, nth);
      if (texts.some(good)) return texts;
    }
    return [];
  }
  return { read, readAll, name: "zxing-wasm" };
}

function pixels(source, canvas, { blur = 0, enlarge, turn }) {
  const width = source.videoWidth ?? source.width, height = source.videoHeight ?? source.height;
  const longer = Math.max(width, height);
  const scale = enlarge ? Math.min(2, ENLARGED_MAX_PX / longer) : Math.min(1, SIDE_MAX_PX / longer);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  if (turn) {
    context.translate(canvas.width / 2, canvas.height / 2);
    context.rotate(turn);
    context.translate(-canvas.width / 2, -canvas.height / 2);
  }
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const picture = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let times = 0; times < blur; times += 1) soften(picture);
  return picture;
}

// Takes the sensor's noise away: the mean of three by three pixels, in grey.
function soften({ data, width, height }) {
  const grey = new Uint8Array(width * height), row = new Uint16Array(width * height);
  for (let n = 0, p = 0; n < grey.length; n += 1, p += 4) grey[n] = (data[p] * 77 + data[p + 1] * 151 + data[p + 2] * 28) >> 8;
  for (let n = 1; n < grey.length - 1; n += 1) row[n] = grey[n - 1] + grey[n] + grey[n + 1];
  for (let n = width; n < grey.length - width; n += 1) {
    const mean = ((row[n - width] + row[n] + row[n + width]) / 9) | 0;
    data[4 * n] = data[4 * n + 1] = data[4 * n + 2] = mean;
  }
}

function load(script) {
  if (globalThis.ZXingWASM) return null;
  return new Promise((done, failed) => {
    const element = document.createElement("script");
    element.src = script;
    element.onload = done;
    element.onerror = () => failed(new Error("the reader is not there"));
    document.head.append(element);
  });
}
