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
 * Makes another replica the leader of each partition of a topic: {@code MoveLeaders BOOTSTRAP TOPIC}. Waits until all partitions have their
 * new leader; the exit code is 2 if they do not after a minute. No data moves: only the order of the replicas changes, of which the first is
 * the preferred leader.
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
                // The current leader moves to the end of the list, so that another replica becomes the preferred leader.
                replicas.remove((Integer) leader);
                replicas.add(leader);
                var name = new TopicPartition(args[1], partition.partition());
                orders.put(name, Optional.of(new NewPartitionReassignment(replicas)));
                leaders.put(name, replicas.get(0));
            }
            admin.alterPartitionReassignments(orders).all().get();
            while (!ledBy(admin, args[1], leaders)) {
                if (System.nanoTime() > deadline) {
                    System.err.println("some partitions still do not have their new leader after a minute");
                    System.exit(2);
                }
                // A replica that is not in sync cannot be elected, so the election is repeated.
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
