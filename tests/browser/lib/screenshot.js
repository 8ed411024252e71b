// Pictures of the page for people to look at, outside the source tree.
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = process.env.SCREENSHOTS ?? join(tmpdir(), 'softphone-screenshots');

/** In Chromium: for a picture of Firefox, Playwright puts a style into the page, which the page's policy refuses. */
export async function screenshot(page, name) {
  if (page.context().browser().browserType().name() !== 'chromium') return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
