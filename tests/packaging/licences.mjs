// Every Node package in our lock files must be usable under a licence of the list in deny.toml; cargo-deny sees to the crates.
import { readFileSync } from 'node:fs';
import { PACKAGE_LOCKS, ROOT } from './lock-files.mjs';

const policy = readFileSync(new URL('deny.toml', ROOT), 'utf8');
const allowed = new Set(listIn(policy, 'allow'));
const packages = PACKAGE_LOCKS.flatMap(nodePackages);
const refused = packages.filter(({ licence }) => !licence || !isAllowed(licence));

for (const { name, licence } of refused) console.error(`${name}: ${licence ?? 'no licence given'}`);
console.log(`${packages.length} Node packages, ${refused.length} without a licence of deny.toml's list`);
process.exit(refused.length ? 1 : 0);

function nodePackages(path) {
  const { packages: all } = JSON.parse(readFileSync(new URL(path, ROOT), 'utf8'));
  return Object.entries(all).map(([name, { license }]) => ({ name: `${path} ${name}`, licence: license }));
}

/** SPDX expressions, of which "AND" binds tighter than "OR"; the old "A/B" means "A OR B". */
function isAllowed(expression) {
  const tokens = expression.replaceAll('/', ' OR ').replace(/([()])/g, ' $1 ').trim().split(/\s+/);
  return either();

  function either() {
    let result = both();
    while (tokens[0] === 'OR') {
      tokens.shift();
      result = both() || result;
    }
    return result;
  }

  function both() {
    let result = one();
    while (tokens[0] === 'AND') {
      tokens.shift();
      result = one() && result;
    }
    return result;
  }

  function one() {
    const token = tokens.shift();
    if (token === '(') {
      const inner = either();
      tokens.shift();
      return inner;
    }
    if (tokens[0] !== 'WITH') return allowed.has(token);
    tokens.shift();
    return allowed.has(`${token} WITH ${tokens.shift()}`);
  }
}

function listIn(toml, key) {
  const body = new RegExp(`^${key} = \\[([^\\]]*)\\]`, 'm').exec(toml)[1];
  return [...body.matchAll(/"([^"]+)"/g)].map((match) => match[1]);
}
