// The page of a study: one trial at a time.  Which option is right, this page does not know.

const TOKEN = 'clip2protect-study-token';
const WHO = 'clip2protect-study-participant';
const KINDS = ['identity', 'retouched'];
const PLACES = ['left', 'right'];
const KEYS = { 1: 0, 2: 1, ArrowLeft: 0, ArrowRight: 1 };

const $ = (id) => document.getElementById(id);
/** What is on the screen: the trial's number, and when it was seen; null while none can be answered. */
let open = null;
let again = start;

// The token comes behind #, and does not stay in the address, where somebody might copy it.
if (location.hash.length > 1) {
  sessionStorage.setItem(TOKEN, location.hash.slice(1));
  history.replaceState(null, '', '/');
}

/** A request.  Throws {code, title} for an answer that is a problem. */
async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(TOKEN) ?? ''}`, 'X-Clip2Protect': '1', ...options.headers };
  const response = await fetch(`/v1/participants${path}`, { ...options, headers })
    .catch(() => { throw { title: 'The study does not answer: is it still running?' }; });
  if (response.ok) return response;
  throw await response.json().catch(() => ({ title: `The study answered ${response.status}` }));
}

function show(section) {
  for (const id of ['welcome', 'trial', 'end', 'trouble']) $(id).hidden = id !== section;
}

/** Do something; what goes wrong is said, and can be tried again. */
async function attempt(action) {
  again = action;
  try {
    await action();
  } catch (problem) {
    open = null;
    const foreign = problem.code === 'unpaired';
    $('problem').textContent = foreign ? 'Open the link that the terminal shows: this page came without its key.'
      : problem.title ?? String(problem);
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

/** A picture that can be shown at once; the one before it is let go. */
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
    localStorage.removeItem(WHO); // a study that began anew
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
  const images = [...PLACES.map((place) => [$(place).querySelector('img'), place]), ...(identity ? [[$('shown'), 'shown']] : [])];
  await Promise.all(images.map(([image, place]) => load(image, `${who}/pictures/${number}/${place}`)));
  $('shown').hidden = !identity;
  for (const place of PLACES) $(place).classList.remove('chosen');
  $('trial').classList.remove('busy', 'saving');
  if (!$('trial').contains(document.activeElement) || document.activeElement === $('familiar')) $('question').focus();
  requestAnimationFrame(() => { open = { number, since: performance.now() }; });
}

function choose(side) {
  if (!open || $('trial').hidden) return;
  const body = JSON.stringify({
    number: open.number, side, milliseconds: Math.round(performance.now() - open.since), familiar: $('familiar').checked,
  });
  open = null;
  $(PLACES[side]).classList.add('chosen');
  $('trial').classList.add('saving');
  const headers = { 'Content-Type': 'application/json' };
  attempt(async () => {
    await ask(`/${localStorage.getItem(WHO)}/choices`, { method: 'POST', body, headers }).catch((problem) => {
      if (problem.code !== 'not_ready') throw problem; // it was kept, only the answer got lost
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
