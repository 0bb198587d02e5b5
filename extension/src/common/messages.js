// Messages of the extension's pages to the background, which the browser may end and start at any time.

/** @import {Message} from './types.js' */

import { TroubleError } from './errors.js';

/** @param {number} milliseconds */
export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const TRIES = 5;
/** Milliseconds between two tries; between two signs of life of a port. */
const PAUSE = 300, BEAT = 10_000;

/** Ask the background.  If it ends before its answer, ask again, except for a ticket, which can be claimed
 * only once.
 * @param {Message} message
 * @returns {Promise<any>} */
export async function tell(message) {
  for (let tries = message.type === 'claim' ? 1 : TRIES; ; tries -= 1) {
    const answer = await chrome.runtime.sendMessage(message).catch(() => undefined);
    if (answer && 'ok' in answer) return answer.ok;
    if (answer?.trouble) throw new TroubleError(answer.trouble);
    // A message that wants no answer gets an empty one.
    if (answer) return undefined;
    if (tries <= 1) throw new TroubleError({ code: 'no_worker', title: 'The extension does not answer' });
    await sleep(PAUSE);
  }
}

/** Whether a message brought a photo.  In Firefox a message's `Blob` is of another world than ours.
 * @param {unknown} value
 * @returns {value is Blob} */
export function isBlob(value) {
  return ['[object Blob]', '[object File]'].includes(Object.prototype.toString.call(value));
}

/** Hold a port open as long as this document lives, so that the background hears when the document goes.
 * @param {string} ticket */
export function holdPort(ticket) {
  const port = chrome.runtime.connect({ name: ticket });
  port.onDisconnect.addListener(() => { setTimeout(() => holdPort(ticket), PAUSE); });
}

/** A port to the script that caught the photos.
 * @param {{tab: number, frame: number, document: string}} place where they were caught
 * @param {string} ticket
 * @returns {chrome.runtime.Port} */
export function reachPage({ tab, frame, document }, ticket) {
  if (chrome.tabs) {
    const place = document ? { documentId: document } : { frameId: frame };
    return chrome.tabs.connect(tab, { ...place, name: ticket });
  }
  // Firefox gives no `tabs` to a frame in a page.  There the background passes messages on, and must be kept
  // awake.
  const port = chrome.runtime.connect({ name: `page ${ticket}` });
  const beat = setInterval(() => port.postMessage({ type: 'awake' }), BEAT);
  port.onDisconnect.addListener(() => clearInterval(beat));
  return port;
}
