// Pictures of the page for people to look at, outside the source tree.
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = process.env.SCREENSHOTS ?? join(tmpdir(), 'softphone-screenshots');

export async function screenshot(page, name) {
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
