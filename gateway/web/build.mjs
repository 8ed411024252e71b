// Bundles the softphone page into dist/, which the gateway serves. `node build.mjs`, or `npm run build`.
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';

const here = new URL('.', import.meta.url);
const source = new URL('src/', here).pathname;
const dist = new URL('dist/', here).pathname;

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
const { metafile } = await build({
  entryPoints: { app: `${source}main.ts`, style: `${source}style.css` },
  outdir: dist,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome100', 'firefox100', 'safari15.4'],
  legalComments: 'none',
  metafile: true,
  absWorkingDir: here.pathname,
  logLevel: 'warning',
});
for (const file of ['index.html', 'icon.svg']) {
  await cp(source + file, dist + file);
}
await writeFile(`${dist}licenses.txt`, await licenses(Object.keys(metafile.inputs)));

/** The licence texts of every package that went into the bundle. */
async function licenses(inputs) {
  const packages = new Set(inputs.map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean));
  const texts = [...packages].sort().map(async (name) => {
    const folder = new URL(`node_modules/${name}/`, here);
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} has no licence file`);
    return `${name}\n\n${await readFile(new URL(file, folder), 'utf8')}`;
  });
  return (await Promise.all(texts)).join('\n----\n\n');
}
