// The server's own page: pair, choose photos, watch, compare, download.  It asks its server only, and does
// not tell it the names of files.

import { Job, OWN } from './job.js';
import { showOwner } from './owner.js';
import { askForCode } from './pairing.js';
import { $, attempt, capital, isPhoto } from './parts.js';
import { pair, paired, read, words } from './server.js';

const LEVELS = {
  subtle: 'Subtle: least visible, protects less', balanced: 'Balanced',
  strong: 'Strong: protects more, more visible',
};

// --- the choices ---------------------------------------------------------------------------------

/** Show what a paired browser can do. */
async function begin() {
  const [prompts, levels] = await Promise.all([read('json', '/v1/prompts'), read('json', '/v1/levels')]);
  const looks = Object.entries(prompts.presets).map(([name, text]) => [name, capital(text)]);
  looks.push([prompts.auto, 'Choose for me (takes longer)'], [prompts.none, 'No makeup']);
  looks.push([OWN, 'My own words…']);
  fill($('#look'), looks, prompts.default);
  fill($('#level'), levels.levels.map((name) => [name, LEVELS[name] ?? capital(name)]), levels.default);
  $('#look').dispatchEvent(new Event('change'));
  await attempt('#owner-problem', showOwner);
  $('#pairing').hidden = true;
  $('#work').hidden = $('#places').hidden = false;
}

/** Fill a list of choices.  An earlier choice stays. */
function fill(list, choices, standard) {
  const chosen = list.value || standard;
  const option = ([value, text]) => new Option(text, value, value === standard, value === chosen);
  list.replaceChildren(...choices.map(option));
}

$('#look').addEventListener('change', () => { $('#own').hidden = $('#look').value !== OWN; });

// --- photos come in ------------------------------------------------------------------------------

// In the whole window, because a photo that is dropped beside the frame would replace the page.
for (const kind of ['dragenter', 'dragover']) addEventListener(kind, (event) => hover(event, true));
for (const kind of ['dragleave', 'drop']) addEventListener(kind, (event) => hover(event, false));
addEventListener('drop', (event) => take(event.dataTransfer?.files));
addEventListener('paste', (event) => take(event.clipboardData?.files));
$('#photos').addEventListener('change', ({ target }) => {
  take([...target.files]);
  target.value = ''; // so that the same photo can be chosen again
});

function hover(event, over) {
  event.preventDefault();
  $('#drop').classList.toggle('over', over);
}

function take(files) {
  if ($('#work').hidden || !files?.length) return;
  const refused = [...files].filter((file) => !isPhoto(file));
  const names = refused.map((file) => file.name).join(', ');
  $('#refused').textContent = refused.length
    ? `Not taken: ${names}. Only JPEG, PNG and WebP photos can be protected.` : '';
  const taken = [...files].filter(isPhoto).map((file) => new Job(file));
  $('#jobs').prepend(...taken.map((job) => job.view)); // the latest are on top, each lot in its order
  for (const job of taken) job.start();
}

// --- the page opens ------------------------------------------------------------------------------

$('#pairing').addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = $('#pairing button');
  button.disabled = true; // a code works once: a second press would find it used up
  try {
    await pair($('#code').value);
    await begin();
    $('#code').value = '';
    $('#look').focus();
  } catch (problem) {
    askForCode(words(problem));
  } finally {
    button.disabled = false;
  }
});

/** Take the code out of the address, so that nobody sees it there. */
function givenCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get('pair');
  if (location.hash) history.replaceState(null, '', location.pathname);
  return code;
}

/** Open the page.  A paired browser stays paired, even if an old link opened it. */
async function enter() {
  const code = givenCode();
  try {
    if (paired()) {
      try {
        return await begin();
      } catch (problem) {
        if (!code || problem.code !== 'unpaired') throw problem;
      }
    }
    if (!code) return askForCode();
    await pair(code);
    await begin();
  } catch (problem) {
    askForCode(words(problem));
  }
}

// A link to a part opens it; the address stays free for codes.
$('#places').addEventListener('click', (event) => {
  const place = $(event.target.getAttribute('href') ?? '#options');
  event.preventDefault();
  place.open = true;
  place.scrollIntoView();
  $('summary, select', place).focus({ preventScroll: true });
});

addEventListener('hashchange', () => location.hash && $('#work').hidden && enter());
await enter();
