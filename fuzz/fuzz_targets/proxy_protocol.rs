#![no_main]

talaria_fuzz::target!(proxy_protocol);
