// A photo that is shown as it is: small beside its name, or large where it was not protected.

/** The longest side of a picture that is drawn here, in pixels. */
const LARGEST = 1200;

/** Draw a photo's middle into a square.
 * @param {HTMLCanvasElement} canvas
 * @param {Blob} photo */
export async function drawThumb(canvas, photo) {
  const small = /** @type {const} */ ({ resizeHeight: 160, resizeQuality: 'medium' });
  const bitmap = await createImageBitmap(photo, small).catch(() => undefined);
  if (!bitmap) return;
  const side = Math.min(bitmap.width, bitmap.height);
  const [x, y] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
  canvas.getContext('2d')?.drawImage(bitmap, x, y, side, side, 0, 0, canvas.width, canvas.height);
  bitmap.close();
}

/** Draw a whole photo; of one that moves, its first picture.
 * @param {HTMLCanvasElement} canvas
 * @param {Blob} photo
 * @returns {Promise<boolean>} whether the browser can show it */
export async function drawWhole(canvas, photo) {
  const bitmap = await createImageBitmap(photo).catch(() => undefined);
  if (!bitmap) return false;
  const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(scale * bitmap.width));
  canvas.height = Math.max(1, Math.round(scale * bitmap.height));
  const pen = canvas.getContext('2d');
  if (pen) pen.imageSmoothingQuality = 'high';
  pen?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return true;
}
