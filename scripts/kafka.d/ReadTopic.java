import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads a topic with Kafka's own Java client, so that tests do not depend on librdkafka alone: {@code ReadTopic BOOTSTRAP TOPIC
 * [--key-prefix TEXT] [--count N] [--within SECONDS]}.
 *
 * <p>Prints each record from the beginning of the topic to its end, one JSON object per line, in the order of offsets within a partition.
 * With {@code --count} it waits until there are that many records, and then reads to the end that the topic has at that time, so that
 * excess records are printed, too. With {@code --key-prefix} other records are neither printed nor counted. The exit code is 2 if the
 * records are not complete after the time of {@code --within} (default 60 s).
 *
 * <p>{@code expected_partition} is the partition that a Java producer would have chosen for the key; null for a record without a key.
 */
public final class ReadTopic {
    public static void main(String[] args) {
        String bootstrap = args[0];
        String topic = args[1];
        String prefix = null;
        long count = 0;
        long seconds = 60;
        for (int i = 2; i < args.length; i += 2) {
            switch (args[i]) {
                case "--key-prefix" -> prefix = args[i + 1];
                case "--count" -> count = Long.parseLong(args[i + 1]);
                case "--within" -> seconds = Long.parseLong(args[i + 1]);
                default -> throw new IllegalArgumentException("unknown option " + args[i]);
            }
        }
        long deadline = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
        var config = Map.<String, Object>of("bootstrap.servers", bootstrap, "enable.auto.commit", "false", "allow.auto.create.topics", "false");
        var out = new PrintStream(new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16), false, StandardCharsets.UTF_8);
        try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions =
                    consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long seen = 0;
            Map<TopicPartition, Long> ends = count == 0 ? consumer.endOffsets(partitions) : null;
            while (ends == null || !reached(consumer, ends)) {
                if (System.nanoTime() > deadline) {
                    out.flush();
                    System.err.println("only " + seen + " records within " + seconds + " s");
                    System.exit(2);
                }
                for (var record : consumer.poll(Duration.ofMillis(100))) {
                    if (hasPrefix(record.key(), prefix)) {
                        out.print(line(record, partitions.size()) + '\n');
                        seen++;
                    }
                }
                if (ends == null && seen >= count) {
                    ends = consumer.endOffsets(partitions);
                }
            }
        }
        out.flush();
    }

    private static boolean reached(KafkaConsumer<?, ?> consumer, Map<TopicPartition, Long> ends) {
        return ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
    }

    private static boolean hasPrefix(byte[] key, String prefix) {
        return prefix == null || key != null && new String(key, StandardCharsets.UTF_8).startsWith(prefix);
    }

    private static String line(ConsumerRecord<byte[], byte[]> record, int partitions) {
        String key = record.key() == null ? "null" : quote(record.key());
        String expected = record.key() == null ? "null" : Integer.toString(BuiltInPartitioner.partitionForKey(record.key(), partitions));
        String headers = StreamSupport.stream(record.headers().spliterator(), false).map(ReadTopic::pair).collect(Collectors.joining(","));
        return "{\"partition\":" + record.partition() + ",\"offset\":" + record.offset() + ",\"timestamp\":" + record.timestamp()
                + ",\"key\":" + key + ",\"expected_partition\":" + expected + ",\"headers\":[" + headers + "]"
                + ",\"value_hex\":\"" + (record.value() == null ? "" : HexFormat.of().formatHex(record.value())) + "\"}";
    }

    private static String pair(Header header) {
        String value = header.value() == null ? "null" : quote(header.value());
        return "[" + quote(header.key().getBytes(StandardCharsets.UTF_8)) + "," + value + "]";
    }

    private static String quote(byte[] utf8) {
        var json = new StringBuilder("\"");
        for (char c : new String(utf8, StandardCharsets.UTF_8).toCharArray()) {
            if (c == '"' || c == '\\' || c < ' ') {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }
}
