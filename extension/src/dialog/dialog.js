// The dialog: what the user sees of an upload, and where they decide.  It is shown above the page in a frame of its own, or
// in a window where the page's place is too small.  The page hears nothing from here: the photos come from, and go to, the
// script that caught them.

/** @import {Choice, PhotoRule, Trouble} from '../common/types.js' */

import { chosen, CONTROLS, offerChoices, showOwn } from '../common/choice-lists.js';
import { say, wordsOf } from '../common/i18n.js';
import { $, speak } from '../common/dom.js';
import { rulesOf } from '../common/photo-rules.js';
import { holdLine, reachPage, tell } from '../common/messages.js';
import { troubleOf } from '../common/errors.js';
import { Photo } from './photo.js';
import { onPress, watchSight } from './click-guard.js';

/** Photos that are at the server at a time. */
const AT_ONCE = 6;
/** Troubles that are not of one photo. */
const AWAY = ['unpaired', 'down', 'no_worker'];

const ticket = location.hash.slice(1);
/** @type {Photo[]} */
let photos = [];
/** @type {Photo[]} */
const line = [];
let running = 0;
/** @type {any} what the background knows of this upload */
let known;
/** @type {PhotoRule[]} those of this site */
let rules = [];
/** @type {chrome.runtime.Port} */
let page;
let closed = false;

// --- the dialog opens ------------------------------------------------------------------------------------

async function open() {
  speak();
  try {
    known = await tell({ type: 'claim', ticket });
  } catch (error) {
    $('nothing').hidden = false; // whoever shows this page has no photos for it
    if (troubleOf(error).code !== 'no_worker') return;
    // There was no answer: nobody will take these photos up, and the page must not stay covered.
    await tell({ type: 'finished', ticket, choice: null, last: null }).catch(() => {});
    return;
  }
  holdLine(ticket);
  page = reachPage(known, ticket);
  page.onDisconnect.addListener(() => close());
  page.onMessage.addListener((message) => { if (message.type === 'files') begin(message.files); });
}

/** @param {File[]} files */
async function begin(files) {
  photos = files.map((file) => new Photo(file, ticket, update));
  for (const photo of photos) photo.onAgain = () => retry([photo]);
  rules = rulesOf(known.rules, known.host);
  $('ruled').hidden = !rules.length;
  $('photos').replaceChildren(...photos.map((photo) => photo.view));
  $('title').textContent = say(photos.length === 1 ? 'dialog_title' : 'dialog_titles', photos.length);
  $('site').textContent = say('dialog_site', known.host);
  $('panel').hidden = false;
  $('title').focus(); // from there the keyboard goes on, and it is what is read out first
  watchSight($('panel'));
  setInterval(() => { for (const photo of photos) photo.tick(); }, 500);
  update();
  if (await prepare() && known.rule === 'always') start(photos);
}

/** Fill the lists of choices.
 * @returns {Promise<boolean>} whether the server is there for us */
async function prepare() {
  try {
    const looks = await tell({ type: 'looks' });
    offerChoices(looks, $('look').value ? chosen() : known.choice); // what was chosen here already stays
    showTrouble();
    // Who needs to know it asks again, and hears why not.
    for (const photo of photos) photo.look().catch(() => {});
    return true;
  } catch (error) {
    showTrouble(troubleOf(error));
    return false;
  } finally {
    update();
  }
}

/** What is asked for now, an `Asked` as text. */
const request = () => JSON.stringify({ choice: chosen(), rules: $('by-rules').checked ? rules : [] });

// --- at the server ---------------------------------------------------------------------------------------

/** @param {Photo[]} some */
function start(some) {
  for (const photo of some) {
    if (photo.decision) continue;
    photo.stop();
    photo.asked = request();
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
    photo.run(JSON.parse(photo.asked), photo.attempt).finally(() => { running -= 1; next(); update(); });
  }
}

/** Photos that nothing was done with yet, or something else than is asked for now. */
function unmade() {
  const now = request();
  const stale = (/** @type {Photo} */ { state, asked }) => asked !== now && ['done', 'failed'].includes(state);
  return photos.filter((photo) => photo.decision === '' && (photo.state === 'idle' || stale(photo)));
}

/** Try again: see first whether the server is there for us.
 * @param {Photo[]} some */
async function retry(some) {
  if (!$('look').value || !$('trouble').hidden) {
    if (!await prepare()) return;
  }
  start(some);
}

// --- what is seen ----------------------------------------------------------------------------------------

/** @param {Trouble} [trouble] */
function showTrouble(trouble) {
  $('trouble').hidden = !trouble;
  $('trouble-words').textContent = trouble ? `${wordsOf(trouble)} ${say('nothing_sent')}` : '';
  $('pairing').hidden = !trouble || !['unpaired', 'bad_code', 'wrong_origin', 'forbidden_origin'].includes(trouble.code);
  $('originals-sure').hidden = true;
}

function update() {
  if (closed) return;
  const undecided = photos.filter((photo) => !photo.decided), some = unmade();
  const stuck = undecided.find(({ state, trouble }) => state === 'failed' && AWAY.includes(trouble?.code ?? ''));
  if (stuck && $('trouble').hidden) showTrouble(stuck.trouble);
  const ready = $('look').value !== '' && $('trouble').hidden, busy = photos.some((photo) => photo.busy);
  const anew = some.some(({ state }) => state === 'done');
  $('options').hidden = $('look').value === '';
  for (const control of [...CONTROLS, 'by-rules']) $(control).disabled = busy;
  const now = ready ? JSON.parse(request()) : undefined;
  for (const photo of photos) photo.showPlan(now);
  $('start').hidden = busy || !some.length;
  $('start').textContent = say(anew ? 'protect_again' : 'protect');
  $('start').disabled = !ready || !chosen().prompt;
  $('use').hidden = undecided.length > 0 && !$('start').hidden;
  $('use').disabled = undecided.length > 0 || anew || photos.every((photo) => photo.answer.use === 'skip');
  $('use').textContent = say(photos.some((photo) => photo.answer.use === 'original') ? 'use_mixed' : 'use');
  tellSum(undecided.length);
  // A button that was pressed and is gone takes the focus with it.
  const next = $('use').matches(':enabled:not([hidden])') ? $('use') : $('title');
  if (document.activeElement === document.body || (!next.matches('h1') && document.activeElement === $('title'))) next.focus();
  if (known.rule === 'always' && !anew && photos.every((photo) => photo.state === 'done')) deliver();
}

/** @param {number} undecided */
function tellSum(undecided) {
  const text = photos.length > 1 ? say('sum', photos.length - undecided, photos.length) : '';
  if ($('sum').textContent !== text) $('sum').textContent = text;
  const news = photos.map((photo) => (photo.busy ? '' : photo.$('.state').textContent)).filter(Boolean).at(-1) ?? '';
  const words = [news, text].filter(Boolean).join('. ');
  if ($('news').textContent !== words) $('news').textContent = words;
}

// --- the end ---------------------------------------------------------------------------------------------

/** What remains of it, without pixels and names. */
function last() {
  const done = photos.filter((photo) => photo.answer.use === 'protected');
  if (!done.length) return null;
  const sum = { photos: done.length, faces: 0, before: 0, after: 0, recognisers: 0 };
  for (const { matches, report } of done) {
    sum.faces += report.faces.length;
    for (const key of /** @type {const} */ (['before', 'after', 'recognisers'])) sum[key] += matches[key];
  }
  return { host: known.host, time: Date.now(), ...sum };
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

/** Let everything go.  `patience` waits for the page's script to have heard, which then closes the line.
 * @param {Choice | null} [chosen]
 * @param {any} [end]
 * @param {number} [patience] */
async function close(chosen = null, end = null, patience = 0) {
  if (closed) return;
  closed = true;
  const heard = new Promise((resolve) => { page.onDisconnect.addListener(resolve); setTimeout(resolve, patience); });
  await heard;
  await tell({ type: 'finished', ticket, choice: chosen, last: end }).catch(() => {});
  if (window === window.top) window.close();
}

// --- buttons ---------------------------------------------------------------------------------------------

onPress($('cancel'), 'click', cancel);
onPress($('start'), 'click', () => start(unmade()));
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
addEventListener('keydown', (event) => { if (event.key === 'Escape' && event.isTrusted && known && !closed) cancel(); });

await open();
