// The dialog: it shows the photos of an upload, and the user decides here.  It lies above the page in a frame
// of its own, or in a window where our script is not in the page's main frame.  The page learns nothing:
// photos come from the script that caught them, and go back to it.

/** @import {Choice, Habits, Last, PhotoRule, Rule, Ticket, Trouble} from '../common/types.js' */

import { chosen, CONTROLS, offerChoices, showOwn } from '../common/choice-lists.js';
import { codeField } from '../common/connection.js';
import { $, translatePage } from '../common/dom.js';
import { troubleOf } from '../common/errors.js';
import { say, wordsOf } from '../common/i18n.js';
import { holdPort, reachPage, tell } from '../common/messages.js';
import { rulesFor } from '../common/photo-rules.js';
import { amendStored, stored } from '../common/storage.js';
import { onPress, watchVisibility } from './click-guard.js';
import { leftInWords, PACES, paceOf } from './estimate.js';
import { Photo } from './photo.js';
import { canShrink, isSmall, offerSmall } from './small-form.js';

/** So many photos are at the server at a time. */
const AT_ONCE = 6;
/** Troubles that all photos have. */
const AWAY = ['unpaired', 'pair_anew', 'down', 'other', 'no_worker'];
/** Troubles that another address may mend. */
const ELSEWHERE = ['down', 'timeout', 'other', 'bad_address'];
/** Milliseconds after a change of the choice until its photos are begun anew. */
const SETTLED = 700;
/** Troubles that a new code mends. */
const PAIRING = ['unpaired', 'pair_anew', 'bad_code', 'wrong_origin', 'forbidden_origin'];

const ticket = location.hash.slice(1);
/** @type {Photo[]} */
let photos = [];
/** @type {Photo[]} */
const line = [];
let running = 0;
/** All faces have been counted.  Else each count would wait for the work on the photo before. */
let counted = Promise.resolve();
/** What the background knows of this upload.
 * @type {Ticket & {rule: Rule, choice: Choice, rules: PhotoRule[]}} */
let upload;
/** The rules for this site. @type {PhotoRule[]} */
let rules = [];
/** What goes on by itself. @type {Habits} */
let habits;
/** Seconds that a face took lately. @type {number | undefined} */
let pace;
/** Whether photos are begun without a press. */
let atOnce = false;
/** The time until a changed choice has settled; 0 where it has. */
let settling = 0;
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
  // Whatever fails here, the page must not stay covered: photos then wait for a press.
  habits = await stored('habits').catch(() => ({ begin: false, faceless: false }));
  pace = paceOf(await stored('paces').catch(() => []));
  // What a page brings by itself costs the machine nothing before somebody wants it.
  atOnce = upload.rule === 'always' || (habits.begin && upload.byUser);
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
  offerSmall(ticket, (done) => { $('aside-refused').hidden = done; update(); });
  setInterval(tick, 500);
  update();
  if (await prepare() && atOnce) start(photos);
}

/** Fill the lists of choices.
 * @returns {Promise<boolean>} whether the server is there for us */
async function prepare() {
  try {
    const looks = await tell({ type: 'looks' });
    offerChoices(looks, $('look').value ? chosen() : upload.choice); // a choice made here stays
    showTrouble();
    // Where rules need the count, it is asked for again, and a failure is shown.
    counted = Promise.allSettled(photos.map((photo) => photo.countFaces())).then(() => {});
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
    if (photo.decision || photo.state === 'faceless') continue;
    photo.stop();
    if (line.includes(photo)) line.splice(line.indexOf(photo), 1);
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
    const request = JSON.parse(photo.request), { attempt } = photo;
    counted.then(() => photo.run(request, attempt)).finally(() => { running -= 1; next(); update(); });
  }
}

/** Photos that are not protected yet, or were with another request. */
function unprotected() {
  const now = currentRequest();
  const over = (/** @type {Photo} */ { state }) => ['done', 'strangers', 'failed'].includes(state);
  const stale = (/** @type {Photo} */ photo) => over(photo) && photo.request !== now;
  return photos.filter((photo) => photo.decision === '' && (photo.state === 'idle' || stale(photo)));
}

/** The choice has changed: where photos are begun without a press, begin anew with it. */
function chooseAnew() {
  showOwn();
  clearTimeout(settling);
  settling = 0;
  if (atOnce && $('trouble').hidden) {
    settling = setTimeout(() => {
      settling = 0;
      const now = currentRequest();
      const stale = photos.filter((photo) => photo.busy && photo.request !== now);
      if (chosen().prompt) start([...unprotected(), ...stale]);
      update();
    }, SETTLED);
  }
  update();
}

/** Try again, once the server answers.
 * @param {Photo[]} some */
async function retry(some) {
  if (!$('look').value || !$('trouble').hidden) {
    if (!await prepare()) return;
  }
  start(atOnce ? [...new Set([...some, ...unprotected()])] : some);
}

/** Remember how long a face takes.
 * @param {Photo} photo */
function learnPace(photo) {
  if (!photo.pace) return;
  const { pace: seconds } = photo;
  photo.pace = 0;
  amendStored('paces', (paces) => {
    paces.unshift(seconds);
    paces.length = Math.min(paces.length, PACES);
    pace = paceOf(paces);
  });
}

// --- display ---------------------------------------------------------------------------------------------

/** @param {Trouble} [trouble] */
function showTrouble(trouble) {
  $('trouble').hidden = !trouble;
  $('trouble-words').textContent = trouble ? `${wordsOf(trouble)} ${say('nothing_sent')}` : '';
  $('pairing').hidden = !PAIRING.includes(trouble?.code ?? '');
  showAddress(ELSEWHERE.includes(trouble?.code ?? ''));
  $('originals-sure').hidden = true;
}

/** Say which address was asked, where another one may be the right one.
 * @param {boolean} wanted */
async function showAddress(wanted) {
  $('asked').hidden = $('settings').hidden = !wanted;
  if (wanted) $('asked').textContent = say('asked_address', (await stored('server')).address);
}

/** The time goes on. */
function tick() {
  let sum = 0, known = true;
  for (const photo of photos) {
    if (!photo.busy) {
      photo.left = photo.countdown.follow(undefined, 0);
      continue;
    }
    const own = photo.estimate(pace);
    known &&= own !== undefined;
    // The server works on photos one after the other.
    sum += own ?? 0;
    photo.left = photo.countdown.follow(known ? sum : undefined, performance.now() / 1000);
  }
  for (const photo of photos) photo.tick();
  showSum();
}

/** Seconds until all photos are done. */
const allLeft = () => photos.findLast((photo) => photo.busy)?.left;

/** The card that stands for the dialog while the page is used. */
function showCard() {
  const busy = photos.filter((photo) => photo.busy);
  const stuck = photos.some((photo) => !photo.decided) || !$('trouble').hidden;
  const title = busy.length ? say(busy.length === 1 ? 'card_one' : 'card_many', busy.length)
    : say(stuck ? 'card_stuck' : 'card_ready');
  const left = allLeft();
  const text = busy.length ? (left === undefined ? say('working') : leftInWords(left)) : say('card_open');
  const progress = photos.reduce((sum, photo) => sum + (photo.busy ? photo.progress : 1), 0) / photos.length;
  for (const [id, words] of [['card-title', title], ['card-text', text]]) {
    if ($(id).textContent !== words) $(id).textContent = words;
  }
  document.title = `${title} · clip2protect`;
  $('card-progress').hidden = !busy.length;
  $('card-progress').value = progress;
  $('card').dataset.over = String(!busy.length);
}

function update() {
  if (closed) return;
  for (const photo of photos) learnPace(photo);
  const undecided = photos.filter((photo) => !photo.decided), pending = unprotected();
  const stuck = undecided.find(({ state, trouble }) => (
    state === 'failed' && AWAY.includes(trouble?.code ?? '')));
  if (stuck && $('trouble').hidden) showTrouble(stuck.trouble);
  const ready = $('look').value !== '' && $('trouble').hidden, busy = photos.some((photo) => photo.busy);
  const again = pending.some(({ state }) => ['done', 'strangers'].includes(state));
  $('options').hidden = $('look').value === '';
  for (const control of [...CONTROLS, 'by-rules']) $(control).disabled = busy && !atOnce;
  const now = ready ? JSON.parse(currentRequest()) : undefined;
  for (const photo of photos) photo.showPlan(now);
  $('start').hidden = busy || !pending.length || settling > 0;
  $('aside').hidden = !busy || !canShrink;
  $('start').textContent = say(again ? 'protect_again' : 'protect');
  $('start').disabled = !ready || !chosen().prompt;
  $('use').hidden = undecided.length > 0 && !$('start').hidden;
  const uses = photos.map((photo) => photo.answer.use);
  const [unchanged, made] = ['original', 'protected'].map((kind) => uses.filter((u) => u === kind).length);
  $('use').disabled = undecided.length > 0 || again || settling > 0 || unchanged + made === 0;
  $('use').textContent = made && unchanged ? say('use_mixed', made, unchanged)
    : say(unchanged ? 'use_unchanged' : 'use');
  showSum();
  // A button that is hidden loses the focus: keep it in the dialog.  A button that hands over photos as they
  // are gets it from nobody but the user.
  const next = !unchanged && $('use').matches(':enabled:not([hidden])') ? $('use') : $('title');
  const focused = document.activeElement;
  if (focused === document.body || (next !== $('title') && focused === $('title'))) next.focus();
  const over = ['done', ...(habits.faceless ? ['faceless'] : [])];
  if (upload.rule === 'always' && !again && photos.every((photo) => over.includes(photo.state))) deliver();
}

function showSum() {
  if (closed) return;
  const ready = photos.filter((photo) => photo.decided).length, left = allLeft();
  const count = photos.length > 1 ? say('sum', ready, photos.length) : '';
  const time = photos.length > 1 && left !== undefined ? leftInWords(left) : '';
  const text = [count, time].filter(Boolean).join(' · ');
  if ($('sum').textContent !== text) $('sum').textContent = text;
  showCard();
  const states = photos.map((photo) => (photo.busy ? '' : photo.$('.state').textContent));
  const latest = states.filter(Boolean).at(-1) ?? '', busy = photos.some((photo) => photo.busy);
  const news = isSmall() && !busy ? $('card-title').textContent : latest;
  const words = [news, count].filter(Boolean).join('. '); // without the time: it would be read out all along
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
onPress($('settings'), 'click', () => { tell({ type: 'settings' }); });
for (const id of [...CONTROLS, 'by-rules']) $(id).addEventListener('input', chooseAnew);
addEventListener('keydown', (event) => {
  // The small card leaves the key to the page.
  if (event.key === 'Escape' && event.isTrusted && upload && !closed && !isSmall()) cancel();
});

await open();
