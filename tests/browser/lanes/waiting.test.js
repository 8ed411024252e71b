// In a process of its own, as the other files of this folder: what waits for a day or an outage to go by, then what is short.
import '../day.test.js';
import '../devices.test.js';
import '../embedding.test.js';
import '../outage.test.js';
import '../firewall.test.js';
import '../families.test.js';
import '../program.test.js';
import '../harness.test.js';
