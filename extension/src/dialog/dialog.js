// The dialog: it shows the photos of an upload, and the user decides here.  It lies above the page in a frame
// of its own, or in a window where our script is not in the page's main frame.  The page learns nothing:
// photos come from the script that caught them, and go back to it.

/** @import {Choice, Last, PhotoRule, Rule, Ticket, Trouble} from '../common/types.js' */

import { chosen, CONTROLS, offerChoices, showOwn } from '../common/choice-lists.js';
import { codeField } from '../common/connection.js';
import { $, translatePage } from '../common/dom.js';
import { troubleOf } from '../common/errors.js';
import { say, wordsOf } from '../common/i18n.js';
import { holdPort, reachPage, tell } from '../common/messages.js';
import { rulesFor } from '../common/photo-rules.js';
import { onPress, watchVisibility } from './click-guard.js';
import { Photo } from './photo.js';

/** So many photos are at the server at a time. */
const AT_ONCE = 6;
/** Troubles that all photos have. */
const AWAY = ['unpaired', 'pair_anew', 'down', 'other', 'no_worker'];
/** Troubles that a new code mends. */
const PAIRING = ['unpaired', 'pair_anew', 'bad_code', 'wrong_origin', 'forbidden_origin'];

const ticket = location.hash.slice(1);
/** @type {Photo[]} */
let photos = [];
/** @type {Photo[]} */
const line = [];
let running = 0;
/** What the background knows of this upload.
 * @type {Ticket & {rule: Rule, choice: Choice, rules: PhotoRule[]}} */
let upload;
/** The rules for this site. @type {PhotoRule[]} */
let rules = [];
/** @type {chrome.runtime.Port} */
let page;
let closed = false;

// --- the dialog opens ------------------------------------------------------------------------------------

async function open() {
  translatePage();
  $('pairing').append(...codeField('trouble-words'));
  try {
    upload = await tell({ type: 'claim', ticket });
  } catch (error) {
    $('nothing').hidden = false; // shown without photos
    if (troubleOf(error).code !== 'no_worker') return;
    // Without an answer the upload cannot go on, and the page must not stay covered.
    await tell({ type: 'finished', ticket, choice: null, last: null }).catch(() => {});
    return;
  }
  holdPort(ticket);
  page = reachPage(upload, ticket);
  page.onDisconnect.addListener(() => close());
  page.onMessage.addListener((message) => { if (message.type === 'files') begin(message.files); });
}

/** @param {File[]} files */
async function begin(files) {
  photos = files.map((file) => new Photo(file, ticket, update));
  for (const photo of photos) photo.onAgain = () => retry([photo]);
  rules = rulesFor(upload.rules, upload.host);
  $('ruled').hidden = !rules.length;
  $('photos').replaceChildren(...photos.map((photo) => photo.view));
  $('title').textContent = say(photos.length === 1 ? 'dialog_title' : 'dialog_titles', photos.length);
  $('site').textContent = say('dialog_site', upload.host);
  $('panel').hidden = false;
  $('title').focus(); // the keyboard starts here, and a screen reader reads it first
  watchVisibility($('panel'));
  setInterval(() => { for (const photo of photos) photo.tick(); }, 500);
  update();
  if (await prepare() && upload.rule === 'always') start(photos);
}

/** Fill the lists of choices.
 * @returns {Promise<boolean>} whether the server is there for us */
async function prepare() {
  try {
    const looks = await tell({ type: 'looks' });
    offerChoices(looks, $('look').value ? chosen() : upload.choice); // a choice made here stays
    showTrouble();
    // Where rules need the count, it is asked for again, and a failure is shown.
    for (const photo of photos) photo.countFaces().catch(() => {});
    return true;
  } catch (error) {
    showTrouble(troubleOf(error));
    return false;
  } finally {
    update();
  }
}

/** The request that the controls make, as text. */
const currentRequest = () => JSON.stringify({ choice: chosen(), rules: $('by-rules').checked ? rules : [] });

// --- at the server ---------------------------------------------------------------------------------------

/** @param {Photo[]} some */
function start(some) {
  for (const photo of some) {
    if (photo.decision) continue;
    photo.stop();
    photo.request = currentRequest();
    photo.step('waiting', say('waiting'));
    line.push(photo);
  }
  next();
  update();
}

function next() {
  while (running < AT_ONCE && line.length) {
    const photo = /** @type {Photo} */ (line.shift());
    running += 1;
    photo.run(JSON.parse(photo.request), photo.attempt).finally(() => { running -= 1; next(); update(); });
  }
}

/** Photos that are not protected yet, or were with another request. */
function unprotected() {
  const now = currentRequest();
  const over = (/** @type {Photo} */ { state }) => ['done', 'failed'].includes(state);
  const stale = (/** @type {Photo} */ photo) => over(photo) && photo.request !== now;
  return photos.filter((photo) => photo.decision === '' && (photo.state === 'idle' || stale(photo)));
}

/** Try again, once the server answers.
 * @param {Photo[]} some */
async function retry(some) {
  if (!$('look').value || !$('trouble').hidden) {
    if (!await prepare()) return;
  }
  start(some);
}

// --- display ---------------------------------------------------------------------------------------------

/** @param {Trouble} [trouble] */
function showTrouble(trouble) {
  $('trouble').hidden = !trouble;
  $('trouble-words').textContent = trouble ? `${wordsOf(trouble)} ${say('nothing_sent')}` : '';
  $('pairing').hidden = !PAIRING.includes(trouble?.code ?? '');
  $('originals-sure').hidden = true;
}

function update() {
  if (closed) return;
  const undecided = photos.filter((photo) => !photo.decided), pending = unprotected();
  const stuck = undecided.find(({ state, trouble }) => (
    state === 'failed' && AWAY.includes(trouble?.code ?? '')));
  if (stuck && $('trouble').hidden) showTrouble(stuck.trouble);
  const ready = $('look').value !== '' && $('trouble').hidden, busy = photos.some((photo) => photo.busy);
  const again = pending.some(({ state }) => state === 'done');
  $('options').hidden = $('look').value === '';
  for (const control of [...CONTROLS, 'by-rules']) $(control).disabled = busy;
  const now = ready ? JSON.parse(currentRequest()) : undefined;
  for (const photo of photos) photo.showPlan(now);
  $('start').hidden = busy || !pending.length;
  $('start').textContent = say(again ? 'protect_again' : 'protect');
  $('start').disabled = !ready || !chosen().prompt;
  $('use').hidden = undecided.length > 0 && !$('start').hidden;
  $('use').disabled = undecided.length > 0 || again || photos.every((photo) => photo.answer.use === 'skip');
  const originals = photos.some((photo) => photo.answer.use === 'original');
  $('use').textContent = say(originals ? 'use_mixed' : 'use');
  showSum(undecided.length);
  // A button that is hidden loses the focus: keep it in the dialog.
  const next = $('use').matches(':enabled:not([hidden])') ? $('use') : $('title');
  const focused = document.activeElement;
  if (focused === document.body || (next !== $('title') && focused === $('title'))) next.focus();
  if (upload.rule === 'always' && !again && photos.every((photo) => photo.state === 'done')) deliver();
}

/** @param {number} undecided */
function showSum(undecided) {
  const text = photos.length > 1 ? say('sum', photos.length - undecided, photos.length) : '';
  if ($('sum').textContent !== text) $('sum').textContent = text;
  const states = photos.map((photo) => (photo.busy ? '' : photo.$('.state').textContent));
  const news = states.filter(Boolean).at(-1) ?? '';
  const words = [news, text].filter(Boolean).join('. ');
  if ($('news').textContent !== words) $('news').textContent = words;
}

// --- the end ---------------------------------------------------------------------------------------------

/** What is remembered of the upload.
 * @returns {Last | null} */
function last() {
  const done = photos.filter((photo) => photo.answer.use === 'protected');
  if (!done.length) return null;
  const sum = { photos: done.length, faces: 0, before: 0, after: 0, recognisers: 0 };
  for (const { matches, report } of done) {
    sum.faces += report?.faces.length ?? 0;
    for (const key of /** @type {const} */ (['before', 'after', 'recognisers'])) sum[key] += matches[key];
  }
  return { host: upload.host, time: Date.now(), ...sum };
}

function deliver() {
  if (closed) return;
  page.postMessage({ type: 'deliver', decisions: photos.map((photo) => photo.answer) });
  close(photos.some((photo) => photo.answer.use === 'protected') ? chosen() : null, last(), 2000);
}

function cancel() {
  page.postMessage({ type: 'cancel' });
  close(null, null, 2000);
}

/** End the upload.
 * @param {Choice | null} [choice] to be remembered for the site
 * @param {Last | null} [end]
 * @param {number} [patience] milliseconds to wait until the page's script has heard, and closes the port */
async function close(choice = null, end = null, patience = 0) {
  if (closed) return;
  closed = true;
  await new Promise((resolve) => {
    page.onDisconnect.addListener(resolve);
    setTimeout(resolve, patience);
  });
  await tell({ type: 'finished', ticket, choice, last: end }).catch(() => {});
  if (window === window.top) window.close();
}

// --- buttons ---------------------------------------------------------------------------------------------

onPress($('cancel'), 'click', cancel);
onPress($('start'), 'click', () => start(unprotected()));
onPress($('use'), 'click', () => { if (!$('use').disabled) deliver(); });
onPress($('retry'), 'click', () => { retry(photos.filter((photo) => photo.state === 'failed')); });
onPress($('originals'), 'click', () => { $('originals-sure').hidden = false; $('originals-no').focus(); });
onPress($('originals-no'), 'click', () => { $('originals-sure').hidden = true; });
onPress($('originals-yes'), 'click', () => {
  for (const photo of photos) if (!photo.decided) photo.decide('original');
  deliver();
});
onPress($('pairing'), 'submit', async () => {
  try {
    await tell({ type: 'pair', code: $('code').value });
    $('code').value = '';
    await retry(photos.filter((photo) => photo.state === 'failed'));
  } catch (error) {
    showTrouble(troubleOf(error));
  }
});
for (const id of [...CONTROLS, 'by-rules']) $(id).addEventListener('input', () => { showOwn(); update(); });
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && event.isTrusted && upload && !closed) cancel();
});

await open();
