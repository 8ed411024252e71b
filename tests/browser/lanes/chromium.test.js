// Beside the other files of this folder, in a process of its own.
import { runBusy } from './busy.js';

await runBusy('chromium');
