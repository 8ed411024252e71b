// Lock files fit their package.json, pin by hash, and name no registry, so that any mirror serves them.
import { readFileSync } from 'node:fs';
import { PACKAGE_LOCKS, ROOT } from './lock-files.mjs';

const faults = PACKAGE_LOCKS.flatMap((path) => check(path).map((fault) => `${path}: ${fault}`));
for (const fault of faults) console.error(fault);
console.log(`${PACKAGE_LOCKS.length} lock files, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);

function check(path) {
  const lock = JSON.parse(readFileSync(new URL(path, ROOT), 'utf8'));
  const own = JSON.parse(readFileSync(new URL(path.replace('package-lock', 'package'), ROOT), 'utf8'));
  return [...fits(lock.packages[''], own), ...Object.entries(lock.packages).flatMap(([name, entry]) => pins(name, entry))];
}

function fits(locked, own) {
  return ['dependencies', 'devDependencies'].flatMap((kind) =>
    Object.entries(own[kind] ?? {}).flatMap(([name, version]) => [
      ...(locked[kind]?.[name] === version ? [] : [`${name} is ${locked[kind]?.[name]}, package.json asks for ${version}`]),
      ...(/^\d/.test(version) ? [] : [`${name} is not pinned to one version`]),
    ]),
  );
}

function pins(name, entry) {
  if (name === '') return [];
  return [
    ...(entry.resolved ? [`${name} names a registry: ${entry.resolved}`] : []),
    ...(entry.integrity ? [] : [`${name} has no integrity`]),
  ];
}
