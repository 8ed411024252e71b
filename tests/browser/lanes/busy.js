// The suites that keep a processor busy: one browser after the other would take twice as long as both.

const SUITES = ['page', 'clients', 'gateway', 'demo', 'person', 'screens'];

/** Runs them in this browser, unless BROWSERS leaves it out. */
export async function runBusy(browser) {
  if (process.env.BROWSERS?.split(',').includes(browser) === false) return;
  process.env.BROWSERS = browser;
  for (const suite of SUITES) await import(`../${suite}.test.js`);
}
