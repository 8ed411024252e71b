// One file, so that the suites run one after the other: two browsers at a time are enough for two cores.
import './harness.test.js';
import './page.test.js';
import './clients.test.js';
import './gateway.test.js';
import './demo.test.js';
import './person.test.js';
import './screens.test.js';
import './day.test.js';
import './outage.test.js';
import './families.test.js';
import './firewall.test.js';
import './embedding.test.js';
