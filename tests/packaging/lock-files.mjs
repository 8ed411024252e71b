// Where the lock files of Node packages are.
export const ROOT = new URL('../../', import.meta.url);
export const PACKAGE_LOCKS = ['gateway/web/package-lock.json', 'tests/browser/package-lock.json'];
