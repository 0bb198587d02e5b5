// Rules for kinds of photos: what is done with them, on all sites or on one.

/** @import {PhotoRule, Rule} from '../common/types.js' */

import { hostIn, siteOf } from '../common/access.js';
import { fill } from '../common/choice-lists.js';
import { say } from '../common/i18n.js';
import { $, keepShown, make } from '../common/dom.js';
import { rulesOf } from '../common/photo-rules.js';
import { ruleOf, store, stored } from '../common/storage.js';
import { putRows } from './row-list.js';

/** What can be done, which is known while the server is away too. */
const LEVELS = ['subtle', 'balanced', 'strong'], FACES = ['all', 'largest', 'mine'];
/** Kinds of photos, by how many faces they have at least and at most; the others have more than some number.
 * @type {Record<string, number[]>} */
const KINDS = { any: [0, 0], one: [1, 1], several: [2, 0] };

/** The rules as they are shown. @type {PhotoRule[]} */
let shown = [];
/** The sites that have a rule of their own. @type {Record<string, Rule>} */
let sites = {};
/** By how many photos the owner is known; undefined while the server is away. @type {number | undefined} */
let enrolled;
/** The rule in the form as it was. */
let before = '';

// --- the list --------------------------------------------------------------------------------------------

/** @param {PhotoRule} rule */
const textOf = ({ site, least, most, level, faces }) => JSON.stringify([site, least, most, level, faces]);

/** @param {PhotoRule} rule */
const kindOf = ({ least, most }) => Object.keys(KINDS).find((kind) => String(KINDS[kind]) === String([least, most])) ?? 'more';

/** A rule as a sentence.
 * @param {PhotoRule} rule */
function wordsOf(rule) {
  const { site, least, level, faces } = rule;
  const done = [level && say(`short_${level}`), faces && say(`short_${faces}`)].filter(Boolean).join(', ');
  return say('photo_rule', say(`kind_${kindOf(rule)}`, least - 1), site || say('every_site'), done);
}

/** What keeps a rule from being followed.
 * @param {PhotoRule} rule */
function* hindrances(rule) {
  if (rule.faces === 'mine' && enrolled === 0) yield say('rule_nobody');
  const below = Object.keys(sites).filter((host) => rulesOf([rule], host).length);
  if (rule.site && [rule.site, ...below].every((host) => ruleOf(sites, host) === 'never')) yield say('rule_off');
}

/** @param {PhotoRule} rule
 * @param {number} at */
function rowOf(rule, at) {
  const words = wordsOf(rule);
  const up = make('button', { type: 'button', textContent: '↑', ariaLabel: say('move_up', words), disabled: at === 0 });
  up.addEventListener('click', () => {
    // Whoever moves a rule stays on it.
    $('rules').children[at - 1].querySelector('button:enabled').focus();
    keep(shown.with(at - 1, rule).with(at, shown[at - 1]));
  });
  const change = make('button', { type: 'button', textContent: say('change'), ariaLabel: say('change_of', words) });
  change.addEventListener('click', () => openForm(rule));
  const remove = make('button', { type: 'button', textContent: say('remove'), ariaLabel: say('remove_of', words) });
  remove.addEventListener('click', () => keep(shown.filter((one) => one !== rule), 'rule_removed'));
  const notes = [...hindrances(rule)].map((note) => make('small', {}, note));
  return make('li', { className: 'of-rule' }, make('span', {}, words, ...notes), make('span', { className: 'line' }, up, change, remove));
}

async function showRules() {
  [shown, sites] = await Promise.all([stored('rules'), stored('sites')]);
  putRows($('rules'), shown.map(rowOf), $('rule-new'));
  $('rules-none').hidden = shown.length > 0;
  $('rule-sites').replaceChildren(...Object.keys(sites).sort().map((site) => new Option(site)));
}

/** Take note of by how many photos the owner is known.
 * @param {number | undefined} count undefined while the server is away */
export async function knowEnrolled(count) {
  enrolled = count;
  await showRules();
}

/** @param {PhotoRule[]} rules
 * @param {string} [news] */
async function keep(rules, news = 'saved') {
  shown = rules; // what is done next counts on it, be it before the rows are drawn
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

/** Close the form and go back to where it was opened. */
function closeForm() {
  $('rule-form').hidden = true;
  $('rule-new').hidden = false;
  const row = $('rules').children[shown.findIndex((rule) => textOf(rule) === before)];
  (row?.querySelector('button:nth-child(2)') ?? $('rule-new')).focus();
}

/** @param {string} problem
 * @param {string} id of what is to be mended */
function refuse(problem, id) {
  report('', say(problem));
  $(id).focus();
}

$('rule-new').addEventListener('click', () => openForm({ site: '', least: 0, most: 0, level: '', faces: '' }));
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
  const at = shown.findIndex((one) => textOf(one) === before), same = shown.findIndex((one) => textOf(one) === textOf(rule));
  if (same >= 0 && same !== at) return report('', say('rule_known'));
  closeForm();
  keep(at < 0 ? [...shown, rule] : shown.with(at, rule));
});

keepShown(['rules', 'sites'], showRules);
