import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;

/**
 * Gives each partition of a topic to another of its replicas: {@code MoveLeaders BOOTSTRAP TOPIC}. Returns when every one has its new
 * leader; leaves with 2 when they have not after a minute. No data moves: the order of the replicas changes, and with it who is preferred.
 */
public final class MoveLeaders {
    public static void main(String[] args) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
        try (var admin = Admin.create(Map.of("bootstrap.servers", args[0], "default.api.timeout.ms", "30000"))) {
            Map<TopicPartition, Optional<NewPartitionReassignment>> orders = new HashMap<>();
            Map<TopicPartition, Integer> leaders = new HashMap<>();
            for (var partition : partitions(admin, args[1])) {
                var replicas = new ArrayList<>(partition.replicas().stream().map(Node::id).toList());
                int leader = partition.leader().id();
                // The present leader becomes the last choice, and the first of the others the preferred one.
                replicas.remove((Integer) leader);
                replicas.add(leader);
                var name = new TopicPartition(args[1], partition.partition());
                orders.put(name, Optional.of(new NewPartitionReassignment(replicas)));
                leaders.put(name, replicas.get(0));
            }
            admin.alterPartitionReassignments(orders).all().get();
            while (!ledBy(admin, args[1], leaders)) {
                if (System.nanoTime() > deadline) {
                    System.err.println("not every partition has its new leader after a minute");
                    System.exit(2);
                }
                // One that is not in sync yet cannot be elected: asked again until it can.
                admin.electLeaders(ElectionType.PREFERRED, leaders.keySet()).partitions().get();
                Thread.sleep(100);
            }
        }
    }

    private static boolean ledBy(Admin admin, String topic, Map<TopicPartition, Integer> leaders)
            throws ExecutionException, InterruptedException {
        return partitions(admin, topic).stream().allMatch(partition -> {
            int wanted = leaders.get(new TopicPartition(topic, partition.partition()));
            return partition.leader() != null && partition.leader().id() == wanted;
        });
    }

    private static List<TopicPartitionInfo> partitions(Admin admin, String topic) throws ExecutionException, InterruptedException {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions();
    }
}
