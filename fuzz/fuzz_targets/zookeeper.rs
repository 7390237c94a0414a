#![no_main]

talaria_fuzz::target!(zookeeper);
