//! Strangers on the relay's ports, and packets under forged addresses: nothing of theirs is heard, nothing is sent to
//! them, the call goes on.

mod hello;
mod ice;
mod lab;
mod phone;
mod rtp;
mod srtp;
mod stun;
