// The card with the rules for kinds of photos.

/** @import {PhotoRule, Rule} from '../common/types.js' */

import { fill } from '../common/choice-lists.js';
import { $, keepShown, make, makeButton } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { KINDS, kindOf, rulesFor, textOf } from '../common/photo-rules.js';
import { hostIn, ruleOf, siteOf } from '../common/sites.js';
import { store, stored } from '../common/storage.js';
import { putRows } from './row-list.js';

/** What a rule can ask for.  It is known here so that rules can be made without the server. */
const LEVELS = ['subtle', 'balanced', 'strong'], FACES = ['all', 'largest', 'mine'];

/** The rules as they are shown. @type {PhotoRule[]} */
let shown = [];
/** The sites that have a rule of their own. @type {Record<string, Rule>} */
let sites = {};
/** The number of the owner's photos at the server; undefined while it is away. @type {number | undefined} */
let enrolled;
/** The rule in the form before it was changed, as text. */
let before = '';

// --- the list --------------------------------------------------------------------------------------------

/** A rule as a sentence.
 * @param {PhotoRule} rule */
function wordsOf(rule) {
  const { site, least, level, faces } = rule;
  const done = [level && say(`short_${level}`), faces && say(`short_${faces}`)].filter(Boolean).join(', ');
  return say('photo_rule', say(`kind_${kindOf(rule)}`, least - 1), site || say('every_site'), done);
}

/** Reasons why a rule has no effect now.
 * @param {PhotoRule} rule */
function* obstaclesOf(rule) {
  if (rule.faces === 'mine' && enrolled === 0) yield say('rule_nobody');
  const below = Object.keys(sites).filter((host) => rulesFor([rule], host).length);
  const off = [rule.site, ...below].every((host) => ruleOf(sites, host) === 'never');
  if (rule.site && off) yield say('rule_off');
}

/** @param {PhotoRule} rule
 * @param {number} place in the list, from 0 */
function rowOf(rule, place) {
  const words = wordsOf(rule);
  const up = makeButton('', say('move_up', words));
  Object.assign(up, { textContent: '↑', disabled: place === 0 });
  up.addEventListener('click', () => {
    // The focus moves with the rule.
    $('rules').children[place - 1].querySelector('button:enabled').focus();
    keep(shown.with(place - 1, rule).with(place, shown[place - 1]));
  });
  const change = makeButton('change', say('change_of', words));
  change.addEventListener('click', () => openForm(rule));
  const remove = makeButton('remove', say('remove_of', words));
  remove.addEventListener('click', () => keep(shown.filter((other) => other !== rule), 'rule_removed'));
  const notes = [...obstaclesOf(rule)].map((note) => make('small', {}, note));
  const buttons = make('span', { className: 'line' }, up, change, remove);
  return make('li', { className: 'of-rule' }, make('span', {}, words, ...notes), buttons);
}

async function showRules() {
  [shown, sites] = await Promise.all([stored('rules'), stored('sites')]);
  putRows($('rules'), shown.map(rowOf), $('rule-new'));
  $('rules-none').hidden = shown.length > 0;
  $('rule-sites').replaceChildren(...Object.keys(sites).sort().map((site) => new Option(site)));
}

/** Show the rules for a number of the owner's photos.
 * @param {number | undefined} count undefined while the server is away */
export async function showEnrolled(count) {
  enrolled = count;
  await showRules();
}

/** @param {PhotoRule[]} rules
 * @param {string} [news] */
async function keep(rules, news = 'saved') {
  shown = rules; // at once: the next click may come before the rows are replaced
  await store('rules', rules);
  report(say(news));
}

/** @param {string} news
 * @param {string} [problem] */
function report(news, problem = '') {
  $('rules-news').textContent = news;
  $('rules-problem').textContent = problem;
}

// --- the form --------------------------------------------------------------------------------------------

/** @param {PhotoRule} rule */
function openForm(rule) {
  before = textOf(rule);
  const { site, least, level, faces } = rule, kind = kindOf(rule);
  const asChosen = ['', say('as_chosen')];
  $('rule-site').value = site;
  fill($('rule-kind'), [...Object.keys(KINDS), 'more'].map((name) => [name, say(`kind_${name}`, '…')]), kind);
  $('rule-number').value = kind === 'more' ? least - 1 : 5;
  fill($('rule-level'), [asChosen, ...LEVELS.map((name) => [name, say(`level_${name}`)])], level);
  fill($('rule-faces'), [asChosen, ...FACES.map((name) => [name, say(`faces_${name}`)])], faces);
  showNumber();
  report('');
  $('rule-new').hidden = true;
  $('rule-form').hidden = false;
  $('rule-site').focus();
}

function showNumber() {
  $('rule-number').hidden = $('rule-kind').value !== 'more';
}

/** Close the form; the focus goes back to the button that opened it. */
function closeForm() {
  $('rule-form').hidden = true;
  $('rule-new').hidden = false;
  const row = $('rules').children[shown.findIndex((rule) => textOf(rule) === before)];
  (row?.querySelector('button:nth-child(2)') ?? $('rule-new')).focus();
}

/** @param {string} problem
 * @param {string} id of the control to mend */
function refuse(problem, id) {
  report('', say(problem));
  $(id).focus();
}

$('rule-new').addEventListener('click', () => {
  openForm({ site: '', least: 0, most: 0, level: '', faces: '' });
});
$('rule-kind').addEventListener('change', showNumber);
$('rule-discard').addEventListener('click', () => { report(''); closeForm(); });
$('rule-form').addEventListener('submit', (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const typed = $('rule-site').value.trim(), host = hostIn(typed), number = $('rule-number');
  const [least, most] = KINDS[$('rule-kind').value] ?? [number.valueAsNumber + 1, 0];
  const level = $('rule-level').value, faces = $('rule-faces').value;
  if (typed && !host) return refuse('add_bad', 'rule-site');
  if (!number.hidden && !number.validity.valid) return refuse('rule_number', 'rule-number');
  if (!level && !faces) return refuse('rule_nothing', 'rule-level');
  const rule = { site: host && siteOf(sites, host), least, most, level, faces };
  const texts = shown.map(textOf), place = texts.indexOf(before), same = texts.indexOf(textOf(rule));
  if (same >= 0 && same !== place) return report('', say('rule_known'));
  closeForm();
  keep(place < 0 ? [...shown, rule] : shown.with(place, rule));
});

keepShown(['rules', 'sites'], showRules);
