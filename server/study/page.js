// The page of a study: one trial at a time.  This page does not know which option is right.

const TOKEN = 'clip2protect-study-token';
const WHO = 'clip2protect-study-participant';
const KINDS = ['identity', 'retouched'];
const PLACES = ['left', 'right'];
const KEYS = { 1: 0, 2: 1, ArrowLeft: 0, ArrowRight: 1 };

const $ = (id) => document.getElementById(id);
/** The trial on the screen: its number, and when it appeared; null while none can be answered. */
let open = null;
let again = start;

// The token comes behind #.  It is taken out of the address, so that nobody copies it from there.
if (location.hash.length > 1) {
  sessionStorage.setItem(TOKEN, location.hash.slice(1));
  history.replaceState(null, '', '/');
}

/** A request.  Throws {code, title} for an answer that is a problem. */
async function ask(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN) ?? '';
  const headers = { Authorization: `Bearer ${token}`, 'X-Clip2Protect': '1', ...options.headers };
  const response = await fetch(`/v1/participants${path}`, { ...options, headers })
    .catch(() => { throw { title: 'The study does not answer: is it still running?' }; });
  if (response.ok) return response;
  throw await response.json().catch(() => ({ title: `The study answered ${response.status}` }));
}

function show(section) {
  for (const id of ['welcome', 'trial', 'end', 'trouble']) $(id).hidden = id !== section;
}

/** Do something.  If it fails, say why and offer to try again. */
async function attempt(action) {
  again = action;
  try {
    await action();
  } catch (problem) {
    open = null;
    const foreign = problem.code === 'unpaired';
    const title = foreign ? 'Open the link that the terminal shows. This page has no key.' : problem.title;
    $('problem').textContent = title ?? String(problem);
    $('retry').hidden = foreign;
    show('trouble');
  }
}

async function start() {
  if (!localStorage.getItem(WHO)) {
    if (!sessionStorage.getItem(TOKEN)) throw { code: 'unpaired' };
    show('welcome');
    return;
  }
  await next();
}

async function join() {
  const { participant } = await (await ask('', { method: 'POST' })).json();
  localStorage.setItem(WHO, participant);
  await next();
}

/** Load a picture so that it can be shown at once. */
async function load(image, path) {
  const blob = await (await ask(path)).blob();
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  await image.decode().catch(() => { throw { title: 'A picture of this trial cannot be shown.' }; });
}

async function next() {
  open = null;
  const who = `/${localStorage.getItem(WHO)}`;
  const state = await ask(who).then((response) => response.json()).catch((problem) => {
    if (problem.code !== 'not_found') throw problem;
    localStorage.removeItem(WHO); // the study was started again with other participants
    return null;
  });
  if (!state) return start();
  if (!state.kind) {
    show('end');
    $('thanks').focus();
    return;
  }
  const { number, total, kind } = state;
  $('trial').classList.add('busy');
  show('trial');
  for (const each of KINDS) $(each).hidden = each !== kind;
  $('count').textContent = `${number + 1} of ${total}`;
  $('bar').max = total;
  $('bar').value = number;
  $('familiar').checked = false;
  const identity = kind === 'identity';
  const images = PLACES.map((place) => [$(place).querySelector('img'), place]);
  if (identity) images.push([$('shown'), 'shown']);
  await Promise.all(images.map(([image, place]) => load(image, `${who}/pictures/${number}/${place}`)));
  $('shown').hidden = !identity;
  for (const place of PLACES) $(place).classList.remove('chosen');
  $('trial').classList.remove('busy', 'saving');
  const focused = document.activeElement;
  if (!$('trial').contains(focused) || focused === $('familiar')) $('question').focus();
  requestAnimationFrame(() => { open = { number, since: performance.now() }; });
}

function choose(side) {
  if (!open || $('trial').hidden) return;
  const body = JSON.stringify({
    number: open.number, side, familiar: $('familiar').checked,
    milliseconds: Math.round(performance.now() - open.since),
  });
  open = null;
  $(PLACES[side]).classList.add('chosen');
  $('trial').classList.add('saving');
  const headers = { 'Content-Type': 'application/json' };
  attempt(async () => {
    await ask(`/${localStorage.getItem(WHO)}/choices`, { method: 'POST', body, headers }).catch((problem) => {
      if (problem.code !== 'not_ready') throw problem; // the choice was kept before, only the answer got lost
    });
    await attempt(next);
  });
}

$('begin').addEventListener('click', () => attempt(join));
$('retry').addEventListener('click', () => attempt(again));
$('again').addEventListener('click', () => {
  localStorage.removeItem(WHO);
  attempt(start);
});
PLACES.forEach((place, side) => $(place).addEventListener('click', () => choose(side)));
addEventListener('keydown', (event) => {
  if (!(event.key in KEYS) || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  choose(KEYS[event.key]);
});
attempt(start);
