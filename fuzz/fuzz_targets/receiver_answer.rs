#![no_main]

talaria_fuzz::target!(receiver_answer);
