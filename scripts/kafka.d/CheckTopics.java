import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Counts records, duplicates, gaps and disorder in whole topics: {@code CheckTopics BOOTSTRAP TOPIC,TOPIC… [--marker TEXT]}.
 *
 * <p>A record is numbered if its value contains the marker (default {@code seq=}) followed by decimal digits. Each key has its own numbers,
 * which begin at 0 and increase by one. The records of a key may be in several of the topics. Prints one JSON object:
 *
 * <ul>
 *   <li>{@code topics}: the number of records in each topic, numbered or not
 *   <li>{@code numbered}: numbered records; {@code duplicates}: those of them whose key and number occurred before; {@code distinct}: the
 *       others
 *   <li>{@code keys}: different keys of numbered records
 *   <li>{@code gaps}: numbers that are missing below the highest number of their key
 *   <li>{@code disordered}: distinct records that come after a higher number of the same key in the same topic
 *   <li>{@code misplaced}: records in another partition than a Java producer would have chosen
 *   <li>{@code duplicated}: topic, key and number of each of the duplicates, at most of the first thousand
 *   <li>{@code examples}: descriptions of the first few faults
 * </ul>
 */
public final class CheckTopics {
    private static final int EXAMPLES = 5;
    private static final int DUPLICATED = 1000;

    private final byte[] marker;
    private final Map<String, Long> topics = new TreeMap<>();
    private final Map<String, BitSet> seen = new HashMap<>();
    /** The highest number of each key in each topic. */
    private final Map<String, Map<String, Long>> highest = new HashMap<>();
    private final List<String> examples = new ArrayList<>();
    private final List<String> duplicated = new ArrayList<>();
    private long numbered;
    private long duplicates;
    private long disordered;
    private long misplaced;

    private CheckTopics(String marker) {
        this.marker = marker.getBytes(StandardCharsets.UTF_8);
    }

    public static void main(String[] args) {
        var check = new CheckTopics(args.length > 3 && args[2].equals("--marker") ? args[3] : "seq=");
        var config = Map.<String, Object>of("bootstrap.servers", args[0], "enable.auto.commit", "false", "allow.auto.create.topics", "false",
                "fetch.max.bytes", "16777216");
        try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            for (String topic : args[1].split(",")) {
                check.read(consumer, topic);
            }
        }
        System.out.println(check.result());
    }

    private void read(KafkaConsumer<byte[], byte[]> consumer, String topic) {
        var partitions = consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        topics.put(topic, 0L);
        highest.clear();
        var ends = consumer.endOffsets(partitions);
        while (!ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue())) {
            for (var record : consumer.poll(Duration.ofMillis(100))) {
                take(record, partitions.size());
            }
        }
    }

    private void take(ConsumerRecord<byte[], byte[]> record, int partitions) {
        topics.merge(record.topic(), 1L, Long::sum);
        if (record.key() == null) {
            return;
        }
        String key = new String(record.key(), StandardCharsets.UTF_8);
        if (record.partition() != BuiltInPartitioner.partitionForKey(record.key(), partitions)) {
            misplaced++;
            example(key + " is in partition " + record.partition() + " of " + record.topic());
        }
        long number = number(record.value());
        if (number < 0) {
            return;
        }
        numbered++;
        var numbers = seen.computeIfAbsent(key, k -> new BitSet());
        if (numbers.get((int) number)) {
            duplicates++;
            if (duplicated.size() < DUPLICATED) {
                duplicated.add("{\"topic\":" + quote(record.topic()) + ",\"key\":" + quote(key) + ",\"number\":" + number + "}");
            }
            example(key + " " + number + " is a duplicate, at " + place(record));
            return;
        }
        numbers.set((int) number);
        long before = highest.computeIfAbsent(record.topic(), t -> new HashMap<>()).merge(key, number, Math::max);
        if (before > number) {
            disordered++;
            example(key + " " + number + " comes after " + before + ", at " + place(record));
        }
    }

    private static String place(ConsumerRecord<?, ?> record) {
        return record.topic() + "/" + record.partition() + "@" + record.offset();
    }

    /** The number after the marker, or -1 if the value has no marker with a number. */
    private long number(byte[] value) {
        for (int at = 0; value != null && at + marker.length < value.length; at++) {
            int matched = 0;
            while (matched < marker.length && value[at + matched] == marker[matched]) {
                matched++;
            }
            if (matched == marker.length) {
                long number = -1;
                for (int i = at + matched; i < value.length && value[i] >= '0' && value[i] <= '9'; i++) {
                    number = Math.max(number, 0) * 10 + value[i] - '0';
                }
                return number;
            }
        }
        return -1;
    }

    private void example(String text) {
        if (examples.size() < EXAMPLES) {
            examples.add(text);
        }
    }

    private String result() {
        long gaps = 0;
        for (var key : seen.entrySet()) {
            var numbers = key.getValue();
            long missing = numbers.length() - numbers.cardinality();
            if (missing > 0) {
                example(key.getKey() + " " + numbers.nextClearBit(0) + " is missing");
            }
            gaps += missing;
        }
        String counts = topics.entrySet().stream().map(t -> quote(t.getKey()) + ":" + t.getValue()).collect(Collectors.joining(","));
        String texts = examples.stream().map(CheckTopics::quote).collect(Collectors.joining(","));
        return "{\"topics\":{" + counts + "},\"numbered\":" + numbered + ",\"distinct\":" + (numbered - duplicates) + ",\"duplicates\":"
                + duplicates + ",\"keys\":" + seen.size() + ",\"gaps\":" + gaps + ",\"disordered\":" + disordered + ",\"misplaced\":"
                + misplaced + ",\"duplicated\":[" + String.join(",", duplicated) + "],\"examples\":[" + texts + "]}";
    }

    private static String quote(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }
}
