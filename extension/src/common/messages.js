// What the dialog says to the background, which may have gone and come back at any time.

/** @import {Message} from './types.js' */

import { TroubleError } from './errors.js';

/** @param {number} milliseconds */
export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const TRIES = 5, BETWEEN = 300, AWAKE = 10_000;

/** Ask the background.  What may be asked twice is asked again when the background ended before its answer.
 * @param {Message} message
 * @returns {Promise<any>} */
export async function tell(message) {
  for (let tries = message.type === 'claim' ? 1 : TRIES; ; tries -= 1) {
    const answer = await chrome.runtime.sendMessage(message).catch(() => undefined);
    if (answer && 'ok' in answer) return answer.ok;
    if (answer?.trouble) throw new TroubleError(answer.trouble);
    // An answer without anything in it is that of a message which wants none.
    if (answer) return undefined;
    if (tries <= 1) throw new TroubleError({ code: 'no_worker', title: 'The extension does not answer' });
    await sleep(BETWEEN);
  }
}

/** Whether a message brought a photo.  In Firefox what it brings is of another world, whose `Blob` is not ours.
 * @param {unknown} value
 * @returns {value is Blob} */
export const isBlob = (value) => ['[object Blob]', '[object File]'].includes(Object.prototype.toString.call(value));

/** Hold a line open as long as this document is there, so that the background hears when it goes.
 * @param {string} ticket */
export function holdLine(ticket) {
  const port = chrome.runtime.connect({ name: ticket });
  port.onDisconnect.addListener(() => { setTimeout(() => holdLine(ticket), BETWEEN); });
}

/** A line to the script that caught the photos.
 * @param {{tab: number, frame: number, document: string}} known where they were caught
 * @param {string} ticket
 * @returns {chrome.runtime.Port} */
export function reachPage({ tab, frame, document }, ticket) {
  if (chrome.tabs) return chrome.tabs.connect(tab, { ...(document ? { documentId: document } : { frameId: frame }), name: ticket });
  // Firefox gives no `tabs` to a frame in a page: there the background hands on what is said, and is kept awake for it.
  const port = chrome.runtime.connect({ name: `page ${ticket}` });
  const beat = setInterval(() => port.postMessage({ type: 'awake' }), AWAKE);
  port.onDisconnect.addListener(() => clearInterval(beat));
  return port;
}
